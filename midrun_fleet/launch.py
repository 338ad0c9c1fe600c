"""Becomes ComfyUI, tied to the process that begins it: `launch.py <place> <parent> <grace> main.py ...`.

Standard library only: it runs with ComfyUI's Python. Linux. When the parent dies, ComfyUI gets a SIGTERM,
with which Midrun drains it. One ComfyUI at a time has a place: who comes later waits for the earlier one,
and kills it after <grace> seconds.
"""

import ctypes
import fcntl
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
LOOK_S = 0.1


def wait_for_place(place, grace_s):
    """The lock goes on to ComfyUI, which has it as long as it lives."""
    lock = os.open(os.path.join(place, "comfyui.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    end = time.monotonic() + grace_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            pid = os.pread(lock, 20, 0)
            if time.monotonic() > end and pid.isdigit():
                os.kill(int(pid), signal.SIGKILL)
            time.sleep(LOOK_S)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    os.set_inheritable(lock, True)


def main():
    place, parent, grace_s, command = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before it was asked
        sys.exit(1)
    wait_for_place(place, grace_s)
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    main()
