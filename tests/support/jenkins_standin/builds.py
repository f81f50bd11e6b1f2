"""Builds that play a script: what they say, what they ask, how they end. Each look at the log plays one step."""

import hashlib
import json
from dataclasses import dataclass, field

from jenkins_standin.items import Refused

# Before steps and names that are links Jenkins writes a serialised note; it stands in the log that the API gives.
NOTE = "\x1b[8mha:////4H284hYh+GyQm06thyTSl/KPkHkEQIgbi5UUY1m2sOqQAAAAqh+LCAA==\x1b[0m"


@dataclass
class Say:
    """A piece of log. `starts` is a job that begins now, by full name: `build job:` in a pipeline."""

    text: str
    starts: str = ""


@dataclass
class Ask:
    """An `input` step. `parameters` maps a name to its choices, or to a text: the default of a string."""

    id: str
    message: str = "Go on?"
    submitter: str = ""
    parameters: dict[str, list[str] | str] = field(default_factory=dict)


@dataclass
class Script:
    steps: list[Say | Ask] = field(default_factory=list)
    result: str = "SUCCESS"
    description: str = ""
    queued: int = 0  # looks at the queue before the build begins


@dataclass
class Build:
    number: int
    script: Script
    parameters: dict[str, str]
    log: str = ""
    at: int = 0
    result: str = ""
    asks: Ask | None = None
    answers: dict[str, str] | None = None
    approver: str = ""

    def look(self, start=lambda _: None) -> None:
        """Play one step, unless a question is open."""
        if self.result or self.asks:
            return
        if self.at >= len(self.script.steps):
            self.end(self.script.result)
            return
        step = self.script.steps[self.at]
        self.at += 1
        if isinstance(step, Say):
            self.log += step.text.replace("[Pipeline]", NOTE + "[Pipeline]").replace(
                ": ml »", f": {NOTE}ml »"
            )
            if step.starts:
                start(step.starts)
        else:
            self.asks = step
            self.log += f"[Pipeline] input\nInput requested\n{step.message}\n"

    def end(self, result: str) -> None:
        self.result = result
        self.asks = None
        self.log += f"Finished: {result}\n"

    @property
    def input_id(self) -> str:
        if not self.asks:
            return ""
        if not self.asks.id:
            return hashlib.md5(self.asks.message.encode()).hexdigest().capitalize()  # noqa: S324
        return self.asks.id[:1].upper() + self.asks.id[1:]

    def pending(self) -> list[dict]:
        if not self.asks:
            return []
        inputs = []
        for name, value in self.asks.parameters.items():
            choices = {"defaultVal": value[0], "choices": value} if isinstance(value, list) else {}
            kind = "ChoiceParameterDefinition" if choices else "StringParameterDefinition"
            inputs.append(
                {
                    "type": kind,
                    "name": name,
                    "description": "",
                    "definition": choices or {"defaultVal": value},
                }
            )
        return [
            {
                "id": self.input_id,
                "proceedText": "Proceed",
                "message": self.asks.message,
                "inputs": inputs,
                "proceedUrl": "",
                "abortUrl": "",
            }
        ]

    def answer(self, input_id: str, action: str, form: dict[str, str], user: str) -> int:
        """The status that the controller answers with.

        Raises:
            Refused: the question stands.
        """
        if not self.asks or input_id != self.input_id:
            raise Refused(404)
        if action == "abort" or (action == "submit" and "proceed" not in form):
            self.end("ABORTED")
            return 200
        if self.asks.submitter and user not in self.asks.submitter.split(","):
            raise Refused(400, error=f"You need to be {self.asks.submitter} to submit this.")
        if action != "proceedEmpty" and "json" not in form:
            raise Refused(400, "This page expects a form submission")
        self._take(form, action)
        self.asks, self.approver = None, user
        return 302 if action == "submit" else 200

    def _take(self, form: dict[str, str], action: str) -> None:
        given = json.loads(form.get("json", "{}")).get("parameter", []) if action != "proceedEmpty" else []
        given = [given] if isinstance(given, dict) else given
        answers = {}
        for entry in given:
            name, value = entry["name"], entry["value"]
            known = self.asks.parameters.get(name)
            if known is None:
                raise Refused(
                    500, f"java.lang.IllegalArgumentException: No such parameter definition: {name}"
                )
            if isinstance(known, list) and value not in known:
                raise Refused(
                    500,
                    f"java.lang.IllegalArgumentException: Illegal choice for parameter {name}: {value}",
                )
            answers[name] = value
        self.answers = answers
