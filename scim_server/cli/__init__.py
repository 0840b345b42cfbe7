"""The ``scim-server`` command.

Modules that only one command needs are imported by that command: the time from the start
to the first answer is part of what is promised.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from scim_server.cli.members import mapping, member, seat
from scim_server.cli.organizations import organization, schema_group, token
from scim_server.cli.server import db, demo, run_due, serve
from scim_server.cli.transfer import export_command, import_command
from scim_server.config import ConfigError
from scim_server.errors import ScimSeatsError


class _OneLine(click.Group):
    """A group whose commands end in one line where something goes wrong on purpose."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise click.ClickException(str(error)) from error
        except ScimSeatsError as error:
            raise click.ClickException(error.detail) from error
        except UnicodeEncodeError as error:
            raise click.ClickException("The command has bytes that are no UTF-8.") from error
        except BrokenPipeError:  # whoever reads has had enough; click ends without a word
            raise
        except OSError as error:
            name = error.filename or "The result"
            raise click.ClickException(f"{name} cannot be read or written: {error.strerror}.") from error


@click.group(cls=_OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scim-seats")
def cli() -> None:
    """Provisioning by SCIM 2.0, with a seat for everybody who should have one."""


for command in (
    serve,
    demo,
    db,
    run_due,
    organization,
    member,
    seat,
    mapping,
    token,
    schema_group,
    import_command,
    export_command,
):
    cli.add_command(command)


def main() -> None:
    """Run the command; what goes wrong on purpose is one line on standard error."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
