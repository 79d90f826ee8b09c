"""Runs a command on a terminal of its own and does what the lines on standard input say, each a
JSON list:

    ["expect", text]     waits until `text` has come out since the last expectation
    ["type", text]       types it
    ["signal", number]   sends the command a signal
    ["sleep", seconds]
    ["hang up", 0]       closes the terminal, as a window is closed; nothing may follow

In the end prints, as JSON: the command's exit status (negative: the signal that killed it), all its
output, and the terminal's settings before, during (at the first step) and after.
"""

import json, os, pty, select, signal, subprocess, sys, termios, time

LIMIT = 20

control, terminal = pty.openpty()
settings = lambda: [repr(part) for part in termios.tcgetattr(terminal)]
before = settings()
child = subprocess.Popen(
    sys.argv[1:],
    stdin=terminal,
    stdout=terminal,
    stderr=terminal,
    start_new_session=True,
    preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0),
)
output = b""
searched = 0
during = None
deadline = time.monotonic() + LIMIT


def read(timeout):
    global output
    if select.select([control], [], [], timeout)[0]:
        output += os.read(control, 65536)
        return True
    return False


failure = None
hung_up = False
for verb, argument in map(json.loads, sys.stdin):
    if verb == "expect":
        wanted = argument.encode()
        while (at := output.find(wanted, searched)) < 0:
            if time.monotonic() > deadline or (child.poll() is not None and not read(0)):
                failure = f"no {argument!r}"
                break
            read(0.05)
        if failure:
            break
        searched = at + len(wanted)
    elif verb == "type":
        during = during or settings()
        os.write(control, argument.encode())
    elif verb == "signal":
        during = during or settings()
        child.send_signal(argument)
    elif verb == "sleep":
        end = time.monotonic() + argument
        while (left := end - time.monotonic()) > 0:
            read(left)
    elif verb == "hang up":
        during = during or settings()
        os.close(terminal)
        os.close(control)
        hung_up = True

while child.poll() is None and time.monotonic() < deadline:
    time.sleep(0.02) if hung_up else read(0.02)
if child.poll() is None:
    child.kill()
    failure = failure or "did not end"
while not hung_up and read(0.05):
    pass
print(
    json.dumps(
        {
            "status": child.wait(),
            "output": output.decode(errors="replace"),
            "before": before,
            "during": during,
            "after": None if hung_up else settings(),
            "failure": failure,
        }
    )
)
