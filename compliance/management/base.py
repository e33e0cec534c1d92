"""What the project's own commands have in common: exit codes scripts rely on, and errors of one line.

0 done   1 the answer is bad news   2 bad input   3 stopped, incomplete or crashed
"""

from __future__ import annotations

import sys
import traceback
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from auditor.exceptions import AuditorError, InputError
from compliance.exceptions import ComplianceError
from compliance.management.lines import Lines
from compliance.shown import one_line

BAD_NEWS = 1
BAD_INPUT = 2
NOT_DONE = 3


class PlainCommand(BaseCommand):
    """A command that ends with one line on standard error and the exit code of its kind of trouble."""

    requires_system_checks: list[str] = []  # noqa: RUF012, as Django declares it

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """A parser whose errors are raised instead of printed with the whole usage."""
        parser = super().create_parser(prog_name, subcommand, **options)
        parser.called_from_command_line = False
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        """Django's way, but for arguments that cannot be used."""
        try:
            super().run_from_argv(argv)
        except CommandError as error:
            self.end(BAD_INPUT, f"{argv[1]}: {str(error).removeprefix('Error: ')}")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do the work, and turn whatever goes wrong into a line and a code."""
        self.stdout, self.stderr = Lines(self.stdout), Lines(self.stderr)
        try:
            code = self.work(**options)
        except (InputError, CommandError) as error:
            self.end(BAD_INPUT, str(error), options)
        except (AuditorError, ComplianceError) as error:
            self.end(NOT_DONE, str(error), options)
        except DatabaseError as error:
            text = " ".join(str(error).split())
            self.end(NOT_DONE, f"database: {text}; expected one that answers and has room", options)
        except KeyboardInterrupt:
            self.end(NOT_DONE, "ended at once; what was scored is kept, and the same command goes on from there")
        except Exception as error:  # nobody who reads this can act on more; --traceback shows it
            text = " ".join(str(error).split())
            self.end(NOT_DONE, f"crashed: {type(error).__name__}: {text}; --traceback shows where", options)
        if code:
            sys.exit(code)

    def work(self, **options: Any) -> int:
        """What the command does; returns its exit code."""
        raise NotImplementedError

    def end(self, code: int, line: str, options: dict[str, Any] | None = None) -> NoReturn:
        """End with a code and a line, after the traceback if it was asked for."""
        if options and options.get("traceback"):
            traceback.print_exc()
        self.stderr.write(one_line(line))
        sys.exit(code)
