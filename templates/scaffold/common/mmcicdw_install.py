# Part of mmcicdw: makes the environment. One process installs, the others wait for it.
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

where, wanted, lock, digest = sys.argv[1:]
where = os.path.abspath(where)
program = where + "/bin/mmcicd-jenkins"
LOCK_AGAIN = "find out who changed it; when it is right: mmcicd-jenkins generate --lock-cli"
# Words of pip, what they mean as an exit code, and what to do.
MEANINGS = (
    ("DO NOT MATCH THE HASHES", 7, LOCK_AGAIN),
    ("their versions pinned with ==", 3, "the lock was made with another Python: mmcicd-jenkins generate --lock-cli"),
    ("No space left", 5, "free some space, or MMCICD_CLI_HOME=a folder on another disk"),
    ("ensurepip", 5, "Debian and Ubuntu: apt install python3-venv"),
    ("No module named venv", 5, "Debian and Ubuntu: apt install python3-venv"),
)
USUAL = "let this agent reach a package index once (PIP_INDEX_URL, PIP_PROXY, PIP_CERT); or an agent that has it: MMCICD_CLI=installed"


def stop(why, fix, code=5):
    why = "\n  why    ".join(why.splitlines()[:3])
    print(f"error: {wanted} could not be installed\n  why    {why}\n  fix    {fix}", file=sys.stderr)
    sys.exit(code)


def check(path):
    with open(path, "rb") as file:
        found = hashlib.sha256(file.read()).hexdigest()
    if digest and found != digest:
        stop(f"{path} is not the file that mmcicdw was made with: sha256 {found[:12]}, not {digest[:12]}", LOCK_AGAIN, 7)


def environment():
    # What installs must not see: our credentials, and settings that lead out of the environment that is made.
    led_out = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV")
    kept = {k: v for k, v in os.environ.items() if k not in led_out and not k.startswith("MMCICD_")}
    return {**kept, "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


def run(guard, *command):
    # Whoever is ended, its child keeps the lock: nobody else begins while a pip without parents still writes.
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env=environment(), cwd=os.path.dirname(os.path.abspath(lock)) if lock else None,
        pass_fds=[guard.fileno()],
    )  # fmt: skip
    if done.returncode:
        shutil.rmtree(where, ignore_errors=True)
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        code, fix = next(((c, f) for words, c, f in MEANINGS if words in done.stdout), (5, USUAL))
        stop("\n".join([line for line in lines if line.startswith("ERROR")] or lines[-1:]) or "no word", fix, code)


def parts():
    # The lock has two: what builds the rest, then the rest.
    first, _, then = open(lock, encoding="utf-8").read().partition("# then\n")
    for name, text in (("first", first), ("then", then)):
        with open(f"{where}/{name}.txt", "w", encoding="utf-8") as file:
            file.write(text)
        yield f"{where}/{name}.txt"


def install(guard):
    print(f"mmcicdw: installing {wanted}, once on this machine", file=sys.stderr, flush=True)
    shutil.rmtree(where, ignore_errors=True)
    # By its own name: a later python3 would not find what an earlier one installed.
    run(guard, os.path.realpath(sys.executable), "-m", "venv", where)
    pip = (where + "/bin/python", "-m", "pip", "--quiet", "install")
    if lock:
        check(lock)
        for part in parts():
            run(guard, *pip, "--no-build-isolation", "--require-hashes", "-r", part)
        if "git+" in wanted:
            run(guard, *pip, "--no-deps", "--no-build-isolation", "--", wanted)
    else:
        file, bracket, extras = wanted.partition(".whl[")
        file += ".whl" if bracket else ""
        if digest:
            check(file)
        # pip takes extras behind a path, and before an address.
        is_address = bracket and "://" in file
        run(guard, *pip, "--", f"mmcicd-jenkins[{extras} @ {file}" if is_address else wanted)
    if not os.path.exists(program):
        shutil.rmtree(where, ignore_errors=True)
        stop("what was installed has no command mmcicd-jenkins", "MMCICD_CLI=another requirement or wheel")
    with open(where + "/ready", "w") as ready:
        ready.write(wanted + "\n")
        ready.flush()
        os.fsync(ready.fileno())


try:
    os.makedirs(os.path.dirname(where), exist_ok=True)
    with open(where + ".lock", "a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not os.path.exists(where + "/ready") or not os.path.exists(where + "/bin/python"):
            install(guard)
except OSError as e:
    stop(f"{e.strerror}: {e.filename or where}", "MMCICD_CLI_HOME=a folder that can be written and has room")
