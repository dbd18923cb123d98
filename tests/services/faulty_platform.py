"""A remote platform that fails one request in five, in its own process: see tests.services.far.FarPlatform.

`python -m tests.services.faulty_platform DELAY_SECONDS` prints its URL, and its contents after each line of input.
"""

import json
import random
import sys
import threading
import time
from collections import Counter

from tests.support.provider import Provider

FAULTS = ("cut after", "cut before", "500", "429")
FLAKINESS = 0.05


class FaultyPlatform(Provider):
    """Close 5 % of the connections after performing the request and 5 % before it; answer 500 and 429 to 5 % each."""

    def __init__(self, delay_seconds=0.0):
        self._dice = random.Random(5)  # noqa: S311  not for secrecy
        self._fate = threading.local()
        self._answer_delay_seconds = delay_seconds
        self.faults: Counter[str] = Counter()
        super().__init__()
        self.override_headers = {"Retry-After": "1"}

    @property
    def mode(self):
        """Called once per request."""
        roll = int(self._dice.random() / FLAKINESS)
        self._fate.fault = FAULTS[roll] if roll < len(FAULTS) else ""
        self.faults[self._fate.fault] += 1
        return self._fate.fault if self._fate.fault.startswith("cut") else "obey"

    @mode.setter
    def mode(self, mode):
        pass

    def answer(self, request):
        time.sleep(self._answer_delay_seconds)
        if self._fate.fault.isdecimal():
            return int(self._fate.fault), {"message": "Not now"}
        return super().answer(request)


def say(document):
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with FaultyPlatform(float(sys.argv[1])) as platform:
        say(platform.netloc)
        while sys.stdin.readline():
            held = {str(one["id"]): one["name"] for one in list(platform.instances.values())}
            say({"held": held, "faults": platform.faults})
