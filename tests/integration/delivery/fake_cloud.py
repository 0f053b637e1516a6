"""Stand-ins for `gcloud` and `pulumi`: programs that remember and write down.

Run as `python fake_cloud.py FOLDER gcloud|pulumi|python ARGUMENT...`. FOLDER holds
`calls.txt` (one command a line), `things.txt` (what was made) and, where a test wants
a failure, `fail.txt`: the beginning of the command that fails.
"""

import json
import sys
from pathlib import Path

SIDECAR_DIGEST = "sha256:" + "5" * 64
_APIS = "enabled-api"


class Cloud:
    """What exists, kept in a file between calls."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "things.txt"
        self.things = set(
            self._file.read_text(encoding="utf-8").splitlines()
            if self._file.exists()
            else ()
        )

    def make(self, *things: str) -> int:
        """Make what is not there; a real cloud refuses what is."""
        if again := self.things.intersection(things):
            return complain(f"409 already exists: {sorted(again)}")
        self.put(*things)
        return 0

    def put(self, *things: str) -> None:
        self.things.update(things)
        text = "".join(f"{one}\n" for one in sorted(self.things))
        self._file.write_text(text, encoding="utf-8")

    def look(self, thing: str, text: str = "there") -> int:
        """Show a thing, or fail as for one that is not there."""
        if thing not in self.things:
            return complain(f"404 not found: {thing}")
        say(text)
        return 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def complain(text: str) -> int:
    sys.stderr.write(f"ERROR: {text}\n")
    return 1


def gcloud(cloud: Cloud, words: list[str], options: dict[str, str]) -> int:
    match words:
        case ["auth" | "projects", *_]:
            return login_call(cloud, words)
        case ["services", verb, *apis]:
            return api_call(cloud, verb, apis)
        case ["artifacts", "docker", "images", "describe", _]:
            say("" if "no-digest" in cloud.things else SIDECAR_DIGEST)
        case ["run", "jobs", "execute", _]:
            say("done")
        case ["storage", "buckets", verb, bucket]:
            return bucket_call(cloud, verb, bucket, options)
        case ["kms", kind, verb, name]:
            return key_call(cloud, verb, f"{kind} {name}", options)
        case _:
            return complain(f"unknown command: {words}")
    return 0


def login_call(cloud: Cloud, words: list[str]) -> int:
    match words:
        case ["auth", "list"]:
            say("" if "logged-out" in cloud.things else "person@example.com")
        case ["auth", *_] if "no-adc" in cloud.things:
            return complain("log in first")
        case ["projects", "describe", "somebody-elses"]:
            return complain("403")
    return 0


def api_call(cloud: Cloud, verb: str, apis: list[str]) -> int:
    if verb == "enable":
        return cloud.make(*(f"{_APIS} {api}" for api in apis))
    enabled = sorted(one for one in cloud.things if one.startswith(_APIS))
    say("\n".join(one.split()[1] for one in enabled))
    return 0


def bucket_call(cloud: Cloud, verb: str, bucket: str, options: dict[str, str]) -> int:
    match verb:
        case "create":
            return cloud.make(bucket)
        case "update":
            cloud.put(f"{bucket} versioned")
            return cloud.look(bucket)
        case "describe":
            versioned = f"{bucket} versioned" in cloud.things
            return cloud.look(bucket, f"{versioned},True,enforced")
        case _:
            return policy_call(cloud, verb, bucket, options)


def key_call(cloud: Cloud, verb: str, thing: str, options: dict[str, str]) -> int:
    match verb:
        case "create":
            return cloud.make(thing)
        case "describe":
            return cloud.look(thing)
        case _:
            return policy_call(cloud, verb, thing, options)


def policy_call(cloud: Cloud, verb: str, thing: str, options: dict[str, str]) -> int:
    if verb == "add-iam-policy-binding":
        return cloud.make(f"{thing} {options['--role']} {options['--member']}")
    grants = [one for one in cloud.things if one.startswith(f"{thing} roles/")]
    lines = [one.removeprefix(f"{thing} ").replace(" ", ",") for one in grants]
    say("\n".join(lines))
    return 0


def pulumi(cloud: Cloud, words: list[str]) -> int:
    match words:
        case ["login", _]:
            return 0
        case ["stack", "ls"]:
            stacks = [
                one.split()[1] for one in cloud.things if one.startswith("stack ")
            ]
            say(json.dumps([{"name": one, "current": False} for one in stacks]))
        case ["stack", "init", stack]:
            return cloud.make(f"stack {stack}")
        case ["stack", "output", "deliveryAccounts"]:
            if "up" not in cloud.things:
                return complain("current stack does not have output property")
            roles = ("preview", "apply", "release")
            say(json.dumps({role: f"{role}@p.example.com" for role in roles}))
        case ["stack", "output", name]:
            say(f"the {name}")
        case ["config", "set", key, value]:
            return set_in_file(key, value)
        case _:
            return complain(f"unknown command: {words}")
    return 0


def set_in_file(key: str, value: str) -> int:
    """Change the stack's file in the working folder, as the real one does."""
    path = Path("Pulumi.staging.yaml")
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(f"  {key}:")]
    path.write_text("\n".join([*kept, f"  {key}: {value}", ""]), encoding="utf-8")
    return 0


def main() -> int:
    folder, program, *arguments = sys.argv[1:]
    call = " ".join([program, *arguments])
    with (Path(folder) / "calls.txt").open("a", encoding="utf-8") as calls:
        calls.write(f"{call}\n")
    failing = Path(folder) / "fail.txt"
    if failing.exists() and call.startswith(failing.read_text(encoding="utf-8")):
        sys.stderr.write("ERROR: the cloud is closed today\n")
        return 3
    cloud = Cloud(Path(folder))
    if program == "python":
        return 0
    if "--stack" in arguments:
        at = arguments.index("--stack")
        del arguments[at : at + 2]
    flags = [one for one in arguments if one.startswith("--")]
    words = [one for one in arguments if not one.startswith("--")]
    if program == "pulumi":
        return pulumi(cloud, words)
    return gcloud(cloud, words, dict(one.partition("=")[::2] for one in flags))


if __name__ == "__main__":
    sys.exit(main())
