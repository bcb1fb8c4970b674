"""Each test is a process of its own, which signals itself: what is listened for stays so."""

import signal
import subprocess
import sys

import pytest

START = """
import os, signal, threading
from mriad.interrupts import held, listen
listen()
say = lambda word: print(word, flush=True)
hit = lambda number: os.kill(os.getpid(), number)
"""


def said(program):
    done = subprocess.run([sys.executable, "-c", START + program], capture_output=True, text=True, timeout=60)
    return done.stdout.split(), done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_each_stops_by_a_keyboard_interrupt(number):
    words, error = said(f"say('a')\nhit({number:d})\nsay('b')")
    assert words == ["a"] and error.endswith("KeyboardInterrupt\n")


def test_what_a_cluster_says_next_disturbs_no_more():
    program = """
try:
    hit(signal.SIGUSR2)
except KeyboardInterrupt:
    hit(signal.SIGTERM)
    say("saved")
"""
    assert said(program) == (["saved"], "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_write_is_finished_first(number):
    words, error = said(f"with held():\n  hit({number:d})\n  say('written')\nsay('b')")
    assert words == ["written"] and error.endswith("KeyboardInterrupt\n")


def test_a_write_within_a_write_does_not_let_go():
    words, _ = said("with held():\n  with held():\n    hit(signal.SIGTERM)\n  say('written')\nsay('b')")
    assert words == ["written"]


def test_a_second_ctrl_c_does_not_wait():
    words, _ = said("with held():\n  hit(signal.SIGINT)\n  hit(signal.SIGINT)\n  say('written')")
    assert words == []


def test_a_write_in_another_thread_holds_nothing():
    program = """
def write():
    with held():
        begun.set(); end.wait()
begun, end = threading.Event(), threading.Event()
thread = threading.Thread(target=write)
thread.start(); begun.wait()
try:
    hit(signal.SIGTERM)
except KeyboardInterrupt:
    say("stopped")
end.set(); thread.join()
"""
    assert said(program) == (["stopped"], "")


def test_a_command_in_the_background_of_a_shell_does_not_hear_ctrl_c():
    line = f'{sys.executable} -c "$PROGRAM" & wait $!'
    program = START + "hit(signal.SIGINT)\nsay('on')"
    done = subprocess.run(["sh", "-c", line], env={"PROGRAM": program}, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("on\n", "")
