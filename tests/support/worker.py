"""A worker process of a test, started by tests.support.processes: `python -m tests.support.worker VERB …`.

call ID THREADS LEASE_SECONDS     in rounds: prints "ready" once all threads have read the instance; after a line of
                                  input all refresh it at once; prints each result (lease 0: the default)
change ID NAME COUNT              prints "ready"; after a line of input changes the tags and the key NAME COUNT times;
                                  prints each result
turn                              prints "ready"; after a line of input runs one turn of the scheduler
stop VERB ID before|after NAME    refreshes or deletes up to the function NAME: prints "stopped" there, and hangs
move SOURCE TARGET COUNT          moves a batch of instances from one OAuth app to the other, and after a line of input
                                  another one; prints the size of each; hangs before the second one is committed
halt VERB ID SECONDS NAME         refreshes or provisions up to the function NAME: prints "halted" there; continues after
                                  a line of input; prints the result. An empty NAME only prints "begun" and does not
                                  halt. SECONDS: the length of its lease, and the time within which it sends

CLOCK_SKEW_SECONDS in the environment: how far its clock is ahead of the machine's.
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
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from instances.errors import InstancesError  # noqa: E402
from instances.models import Instance, OAuthApp  # noqa: E402
from instances.provisioning.create import parse_body  # noqa: E402
from instances.provisioning.lifecycle import leases, provision  # noqa: E402
from instances.provisioning.lifecycle.delete import delete_instance  # noqa: E402
from instances.provisioning.lifecycle.provision import provision_instance  # noqa: E402
from instances.provisioning.lifecycle.refresh import refresh_instance  # noqa: E402
from instances.provisioning.oauth.apps import move_to_app  # noqa: E402
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
            # Otherwise the other threads would wait forever, and hide the reason.
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


def move(source_id, target_id, count):
    source, target = OAuthApp.objects.get(pk=source_id), OAuthApp.objects.get(pk=target_id)
    say(move_to_app(source, target, count=count))
    sys.stdin.readline()
    with transaction.atomic():
        say(move_to_app(source, target, count=count))
        time.sleep(MEETING_SECONDS)


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
        case ["move", source_id, target_id, count]:
            move(int(source_id), int(target_id), int(count))
        case ["turn"]:
            turn()
        case ["stop", verb, instance_id, when, name]:
            stop(verb, int(instance_id), when, name)
