"""What a process of a test does: `python -m tests.support.worker VERB …`, with tests.support.processes around it.

call ID THREADS LEASE_SECONDS     callers, round after round: "ready" once all have read the instance; at a line of
                                  input all refresh it at once; then how each ended (a lease of 0 is left as it is)
change ID NAME COUNT              "ready"; at a line of input COUNT changes of the tags and of the key NAME in a row;
                                  then how each ended
turn                              "ready"; at a line of input one turn of the scheduler
stop VERB ID before|after NAME    refresh or delete, as far as the function NAME: there "stopped", for ever
halt VERB ID SECONDS NAME         refresh or provision, as far as the function NAME: there "halted"; at a line of input it
                                  goes on; then how it ended. An empty NAME halts nowhere, after a "begun". SECONDS: how
                                  long its lease is, and within how long it sends

CLOCK_SKEW_SECONDS in the environment: its clock is so far ahead of the machine's.
"""

import json
import os
import pkgutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402

from instances.errors import InstancesError  # noqa: E402
from instances.models import Instance  # noqa: E402
from instances.provisioning.create import parse_body  # noqa: E402
from instances.provisioning.lifecycle import leases, provision  # noqa: E402
from instances.provisioning.lifecycle.delete import delete_instance  # noqa: E402
from instances.provisioning.lifecycle.provision import provision_instance  # noqa: E402
from instances.provisioning.lifecycle.refresh import refresh_instance  # noqa: E402
from instances.provisioning.update import update_instance  # noqa: E402

MEETING_SECONDS = 120
VERBS = {
    "refresh": refresh_instance,
    "delete": delete_instance,
    "provision": provision_instance,
}


def say(word):
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()


def call(instance_id, threads, lease_seconds):
    if lease_seconds:
        leases.lease_duration = lambda: timedelta(seconds=lease_seconds)  # type: ignore[attr-defined]
    meeting = threading.Barrier(threads + 1, timeout=MEETING_SECONDS)

    def refresh():
        try:
            row = Instance.objects.get(pk=instance_id)
        except Exception:
            # Or else all others would wait in vain, and nobody would learn why.
            meeting.abort()
            raise
        meeting.wait()
        meeting.wait()
        try:
            return refresh_instance(row, actor="caller").tokens_version
        except InstancesError as error:
            return str(error)

    with ThreadPoolExecutor(threads) as pool:
        while sys.stdin.readline():
            calls = [pool.submit(refresh) for _ in range(threads)]
            try:
                meeting.wait()
            except threading.BrokenBarrierError:
                say([repr(one.exception()) for one in calls])
                raise
            say("ready")
            sys.stdin.readline()
            meeting.wait()
            say([one.result() for one in calls])


def change(instance_id, name, count):
    say("ready")
    sys.stdin.readline()
    ends = []
    for number in range(count):
        body = {"configuration": {name: str(number)}, "tags": [name, f"{name}-{number}"]}
        row = Instance.objects.get(pk=instance_id)
        try:
            update_instance(row, parse_body(body), actor=name)
            ends.append("stored")
        except InstancesError as error:
            ends.append(str(error))
    say(ends)


def turn():
    say("ready")
    sys.stdin.readline()
    call_command("scheduler", once=True)


def halt(verb, instance_id, seconds, name):
    provision.SEND_WITHIN = timedelta(seconds=seconds)  # type: ignore[attr-defined]
    leases.lease_duration = lambda: timedelta(seconds=seconds)  # type: ignore[attr-defined]
    instance = Instance.objects.get(pk=instance_id)
    if name:
        owner_name, _, function_name = name.rpartition(".")
        owner = pkgutil.resolve_name(owner_name)
        function = getattr(owner, function_name)

        def halting(*args, **kwargs):
            setattr(owner, function_name, function)
            say("halted")
            sys.stdin.readline()
            return function(*args, **kwargs)

        setattr(owner, function_name, halting)
    else:
        say("begun")
    try:
        say(VERBS[verb](instance, actor="halted").tokens_version)
    except InstancesError as error:
        say(str(error))


def skew_clock(seconds):
    real_now = timezone.now
    timezone.now = lambda: real_now() + timedelta(seconds=seconds)


def stop(verb, instance_id, when, name):
    owner_name, _, function_name = name.rpartition(".")
    owner = pkgutil.resolve_name(owner_name)
    function = getattr(owner, function_name)

    def stopping(*args, **kwargs):
        if when == "after":
            function(*args, **kwargs)
        say("stopped")
        time.sleep(MEETING_SECONDS)

    setattr(owner, function_name, stopping)
    VERBS[verb](Instance.objects.get(pk=instance_id), actor="killed")


if __name__ == "__main__":
    if "CLOCK_SKEW_SECONDS" in os.environ:
        skew_clock(float(os.environ["CLOCK_SKEW_SECONDS"]))
    match sys.argv[1:]:
        case ["call", instance_id, threads, lease_seconds]:
            call(int(instance_id), int(threads), float(lease_seconds))
        case ["change", instance_id, name, count]:
            change(int(instance_id), name, int(count))
        case ["halt", verb, instance_id, seconds, name]:
            halt(verb, int(instance_id), float(seconds), name)
        case ["turn"]:
            turn()
        case ["stop", verb, instance_id, when, name]:
            stop(verb, int(instance_id), when, name)
