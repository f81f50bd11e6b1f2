"""Jenkins' own Groovy, 2.4, where it is installed: does a text parse. One process for all files.

Only to `Phases.CONVERSION`, which makes the tree and runs nothing. What is missing is no error here: the caller
says so and goes on without.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.records import dataclass

# Jenkins has been on this line since 2.0; another one reads other things as valid.
LINE = "2.4."
# A JVM starts in 2 s and reads a hundred files a second; the rest is for a machine that is busy.
_PATIENCE_SECONDS = 300
_PARSE = """
import groovy.json.*
import org.codehaus.groovy.control.*
println JsonOutput.toJson([version: GroovySystem.version])
new JsonSlurper().parseText(System.in.getText('UTF-8')).each { name, text ->
  def found = []
  try {
    def unit = new CompilationUnit()
    unit.addSource(name, text)
    unit.compile(Phases.CONVERSION)
  } catch (MultipleCompilationErrorsException e) {
    e.errorCollector.errors.each { error ->
      def cause = error.hasProperty('cause') ? error.cause : null
      found << [line: cause?.hasProperty('line') ? cause.line : 1,
                column: cause?.hasProperty('startColumn') ? cause.startColumn : 1,
                what: cause?.hasProperty('originalMessage') ? cause.originalMessage : "${cause?.message ?: error}".toString()]
    }
  } catch (Throwable e) {
    found << [line: 1, column: 1, what: "${e.class.simpleName}: ${e.message}".toString()]
  }
  println JsonOutput.toJson([file: name, errors: found])
}
"""


@dataclass(frozen=True, kw_only=True)
class SyntaxMistake:
    """What Groovy says, and where."""

    file: str
    line: int
    column: int
    what: str


@dataclass(frozen=True, kw_only=True)
class Groovy:
    """A Groovy that can be started."""

    program: str
    java_home: str

    def mistakes(self, texts: Mapping[str, str]) -> Sequence[SyntaxMistake]:
        """The syntax errors of each text by its name.

        Raises:
            OutsideFailed: it did not start, or it is not of Jenkins' line.
        """
        answers = self._ask(texts)
        version = str(answers[0].get("version", "")) if answers else ""
        if not version.startswith(LINE):
            raise OutsideFailed(
                f"this Groovy is {version or 'silent'}, Jenkins' is {LINE}x",
                where=self.program,
                fix="install Groovy 2.4 (Debian: apt-get install groovy), or lint --no-groovy",
            )
        return [
            SyntaxMistake(
                file=answer["file"], line=max(1, e["line"]), column=max(1, e["column"]), what=e["what"]
            )
            for answer in answers[1:]
            for e in answer["errors"]
        ]

    def _ask(self, texts: Mapping[str, str]) -> list[dict[str, Any]]:
        command = [self.program, "-e", _PARSE]
        variables = {
            **os.environ,
            "JAVA_HOME": self.java_home,
            "JAVA_OPTS": "-Dfile.encoding=UTF-8 -Xshare:auto",
        }
        try:
            done = subprocess.run(
                command,
                input=json.dumps(dict(texts)).encode(),
                capture_output=True,
                check=False,
                env=variables,
                timeout=_PATIENCE_SECONDS,
            )
            return [
                json.loads(line) for line in done.stdout.decode("utf-8", "replace").splitlines()
            ] or _fail(done.stderr)
        except (OSError, subprocess.TimeoutExpired, ValueError) as e:
            raise OutsideFailed(
                "Groovy could not be asked", where=self.program, why=str(e)[:256], fix="lint --no-groovy"
            ) from e


def _fail(stderr: bytes) -> list[dict[str, Any]]:
    raise ValueError(stderr.decode("utf-8", "replace").strip()[-256:])


def find_groovy(variables: Mapping[str, str]) -> Groovy | None:
    """Groovy of `GROOVY_HOME` or of the path, with a Java to run it; None when either is missing."""
    path = variables.get("PATH", "")
    home = variables.get("GROOVY_HOME", "")
    program = shutil.which("groovy", path=f"{home}/bin" if home else path) or shutil.which(
        "groovy", path=path
    )
    java_home = variables.get("JAVA_HOME", "")
    if not (Path(java_home) / "bin" / "java").is_file():
        java = shutil.which("java", path=path)
        # Debian's start script looks for a folder that is often absent, so it is told.
        java_home = str(Path(java).resolve().parents[1]) if java else ""
    return Groovy(program=program, java_home=java_home) if program and java_home else None
