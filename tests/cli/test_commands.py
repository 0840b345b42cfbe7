"""The ``scim-server`` command as an operator uses it, in a process of its own where that is the point."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError

from scim_server.cli import cli, main
from scim_server.operations import due, transfer
from scim_server.operations.due import CaughtUp


@pytest.fixture
def run(database, monkeypatch):
    """Run a command on ``database``; return what it printed, decoded where it is JSON."""
    monkeypatch.setenv("SCIM_DATABASE_URL", database.engine.url.render_as_string(hide_password=False))

    def run_command(*arguments: object, fails: bool = False):
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        if fails:
            assert result.exit_code != 0
            return f"{result.output}{result.exception}"
        assert result.exit_code == 0, (result.output, result.exception)
        return json.loads(result.stdout) if "--json" in arguments else result.stdout

    return run_command


@pytest.fixture
def acme(run):
    return run(
        "organization", "create", "acme", "--plan", "team", "--seats", "premium=1", "--seats", "standard=2",
        "--set", "min_total=0", "--json",
    )  # fmt: skip


def test_an_organization_is_created_shown_and_changed(run, acme):
    assert acme["name"] == "acme"
    assert run("organization", "show", "acme", "--json")["id"] == acme["id"]
    assert "premium: 150.00 USD a month" in run("organization", "show", acme["id"])
    changed = run("organization", "set", "acme", "group_mappings=on", "max_total=20", "--json")
    assert (changed["group_mappings"], changed["max_total"]) == ("on", 20)
    tiers = run("organization", "price", "acme", "premium=9900", "--json")
    assert tiers[0]["month_price_minor"] == 9900
    assert [one["name"] for one in run("organization", "list", "--json")] == ["acme"]


def test_tiers_have_names_and_features_of_their_own(run):
    made = run(
        "organization", "create", "other", "--seats", "gold=1", "--seats", "bronze=2",
        "--features", "gold=core,coding", "--json",
    )  # fmt: skip

    assert [(tier["tier"], tier["features"]) for tier in made["tiers"]] == [
        ("gold", ["core", "coding"]),
        ("bronze", []),
    ]
    assert "names a tier without seats" in run(
        "organization", "create", "third", "--seats", "gold=1", "--features", "silver=core", fails=True
    )


def test_members_are_invited_seen_and_removed(run, acme):
    invited = run("member", "invite", "acme", "ada", "--role", "admin", "--json")
    assert (invited["status"], invited["role"]) == ("invited", "admin")
    assert "ada" in run("member", "list", "acme")
    assert run("member", "show", "acme", "ada", "--json")["seat"]["explain"]["rule"] == "C6"
    assert run("member", "role", "acme", "ada", "owner", "--json")["role"] == "owner"
    assert "last_owner_protected" in run("member", "remove", "acme", "ada", fails=True)
    run("member", "invite", "acme", "ben")
    run("member", "remove", "acme", "ben")
    assert "ben" not in run("member", "list", "acme")


def test_seats_are_seen_set_swapped_and_cleared(run, acme):
    for name in ("ada", "ben", "cy", "dee"):
        run("member", "invite", "acme", name)
    assert "premium: 1 of 1 used, 0 wait" in run("seat", "list", "acme")
    assert "1. dee waits for any" in run("seat", "waiting", "acme")
    assert "No premium seat is free" in run("seat", "set", "acme", "ben", "premium", fails=True)
    swapped = run("seat", "swap", "acme", "ada", "ben", "--json")
    assert (swapped["a"]["tier"], swapped["b"]["tier"]) == ("standard", "premium")
    given = run(
        "seat", "set", "acme", "cy", "unassigned", "--expires-in", "2h", "--reason", "on leave", "--json"
    )
    assert given["override"]["reason"] == "on leave"
    assert run("seat", "clear", "acme", "ben", "--json")["override"] is None
    assert run("seat", "reprocess", "acme", "--dry-run") == "Nothing changes.\n"


def test_mappings_name_groups_as_people_do(run, acme, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("userName,groups\nada,Staff\nben,Staff\n")
    run("import", "acme", people)
    run("organization", "set", "acme", "group_mappings=on")

    preview = run("mapping", "set", "acme", "Staff", "standard", "--dry-run")
    assert "premium -> standard (C4)" in preview
    assert run("mapping", "list", "acme") == "\n"
    assert "Staff -> standard" in run("mapping", "set", "acme", "Staff", "standard", "--priority", "1")
    assert run("mapping", "list", "acme", "--json")[0]["priority"] == 1
    assert "not mapped any more" in run("mapping", "delete", "acme", "Staff")


def test_tokens_are_made_listed_rotated_and_revoked(run, acme):
    made = run("token", "create", "acme", "--kind", "scim", "--name", "Okta", "--json")
    [listed] = run("token", "list", "acme", "--json")
    assert "token" not in listed
    rotated = run("token", "rotate", "acme", made["id"], "--json")
    assert rotated["token"] != made["token"]
    run("token", "revoke", "acme", made["id"])
    assert "revoked" in run("token", "list", "acme")
    assert "no token" in run("token", "revoke", "acme", made["id"], fails=True)


def test_a_token_stands_for_a_member_by_user_name_or_id(run, acme):
    ada = run("member", "invite", "acme", "ada", "--json")
    for name in ("ada", ada["id"]):
        made = run("token", "create", "acme", "--kind", "admin", "--member", name, "--json")
        assert made["member_id"] == ada["id"]


def test_members_of_a_group_are_listed_by_its_name(run, acme, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("userName,groups\nada,Staff\nben,\n")
    run("import", "acme", people)

    [ada] = run("member", "list", "acme", "--group", "staff", "--json")

    assert ada["user_name"] == "ada"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("member list acme --group nobody", "There is no group nobody."),
        ("mapping set acme nobody premium", "There is no group nobody."),
        ("mapping delete acme nobody", "There is no group nobody."),
        ("member show acme nobody", "There is no user nobody."),
        ("member role acme nobody admin", "There is no user nobody."),
        ("member remove acme nobody", "There is no user nobody."),
        ("seat set acme nobody premium", "There is no user nobody."),
        ("seat clear acme nobody", "There is no user nobody."),
        ("seat swap acme nobody nobody", "There is no user nobody."),
        ("token create acme --kind admin --member nobody", "There is no user nobody."),
    ],
)
def test_a_name_of_nobody_is_an_error(run, acme, command, says):
    assert f"Error: {says}\n" in run(*command.split(), fails=True)


def test_times_are_written_as_the_admin_api_writes_them(run, acme):
    made = run("token", "create", "acme", "--kind", "scim", "--expires-in", "90d", "--json")
    run("member", "invite", "acme", "ada")
    run("seat", "set", "acme", "ada", "standard")

    text = json.dumps(made) + run("export", "acme")

    times = re.findall(r'"(2\d\d\d-\d\d-\d\d[T ][^"]+)"', text)
    assert len(times) > 5
    assert [at for at in times if not re.fullmatch(r"[\d-]{10}T[\d:]{8}(\.\d{3})?Z", at)] == []


def test_what_is_due_is_done(run, acme, database):
    assert run("run-due") == "Nothing is due.\n"
    run("member", "invite", "acme", "ada")
    past = datetime.now(UTC) - timedelta(days=1)
    microseconds = int(past.timestamp() * 1_000_000)
    with database.engine.begin() as tx:
        tx.exec_driver_sql(f"UPDATE users SET invitation_expires_at = {microseconds}")
        tx.exec_driver_sql(f"UPDATE organizations SET next_due_at = {microseconds}")

    assert run("run-due", "--json") == [{"organization_id": acme["id"], "steps": 1}]
    assert run("member", "list", "acme", "--json") == []


# -- import and export

PEOPLE = """userName,externalId,givenName,familyName,email,active,department,groups
ada@example.com,00u1,Ada,Lovelace,ada@example.com,true,Engineering,Engineering;All
ben@example.com,00u2,Ben,,ben@example.com,no,,All
,00u3,Nobody,,,,,
ada@example.com,00u4,Ada,Again,,,,
"""


def test_people_and_groups_are_imported_from_csv(run, acme, tmp_path):
    people, teams = tmp_path / "people.csv", tmp_path / "teams.csv"
    people.write_text(PEOPLE)
    teams.write_text("displayName,members\nLeads,ada@example.com\nGhosts,nobody@example.com\n")

    done = run("import", "acme", people, "--json")
    more = run("import", "acme", teams, "--json")

    report = Path(done["report"])
    assert (done["created"], done["known"], done["refused"]) == (2, 1, 1)
    assert [json.loads(line)["line"] for line in report.read_text().splitlines()] == [4]
    assert (more["created"], more["refused"]) == (1, 1)
    ada = run("member", "show", "acme", "ada@example.com", "--json")
    assert {group["display_name"] for group in ada["groups"]} == {"Engineering", "All", "Leads"}
    assert run("member", "show", "acme", "ben@example.com", "--json")["status"] == "suspended"


def test_a_file_can_be_imported_again(run, acme, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text(PEOPLE)
    run("import", "acme", people)

    done = run("import", "acme", people, "--json")

    assert (done["created"], done["known"]) == (0, 3)


def test_people_are_imported_from_ndjson(run, acme, tmp_path):
    people = tmp_path / "people.ndjson"
    lines = ['{"userName": "ada"}', '{"userName": []}', "{broken", "", '{"displayName": "Team"}', "[]"]
    people.write_text("\n".join(lines))

    done = run("import", "acme", people, "--json")

    assert (done["created"], done["refused"]) == (2, 3)


def test_a_row_that_is_no_text_is_refused_and_the_rest_is_imported(run, acme, tmp_path):
    people, more = tmp_path / "people.csv", tmp_path / "more.ndjson"
    people.write_bytes(b"userName,title\nada,\xff\nben,a\x00b\ncy,chief\n")
    more.write_bytes(b'{"userName": "\xff"}\n{"userName": "dee"}\n')

    done, then = run("import", "acme", people, "--json"), run("import", "acme", more, "--json")

    assert (done["created"], done["refused"]) == (1, 2)
    assert (then["created"], then["refused"]) == (1, 1)
    lines = [json.loads(line) for line in Path(done["report"]).read_text().splitlines()]
    assert [line["line"] for line in lines] == [2, 3]


def test_columns_are_known_in_any_letter_case_and_others_are_named(run, acme, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text(" USERNAME ,GivenName,shoe size\nada,Ada,44\n")

    result = CliRunner().invoke(cli, ["import", "acme", str(people)])

    assert result.exit_code == 0
    assert result.stderr == "Columns that are left out: 'shoe size'.\n"
    assert run("member", "show", "acme", "ada", "--json")["user_name"] == "ada"


def test_a_file_without_a_header_is_refused_as_a_whole(run, acme, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("ada,Ada\nben,Ben\n")

    assert "The first line must name the columns" in run("import", "acme", people, fails=True)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("userName,Email,email", "names email more than once"),
        ('"userName', "is no CSV"),
    ],
)
def test_a_header_that_is_ambiguous_is_refused_with_the_whole_file(run, acme, tmp_path, header, says):
    people = tmp_path / "people.csv"
    people.write_text(f"{header}\nada,a@example.com,b@example.com\n")

    assert says in run("import", "acme", people, fails=True)


MALFORMED = """userName,familyName,email
ada,Lovelace,ada@example.com,
ben,Smith, Jr.,ben@example.com
cy,"Young" junior,cy@example.com
dee,"of
two lines",dee@example.com
,Nobody,
eve,"never closed,eve@example.com
fay,swallowed,fay@example.com
"""


def test_malformed_rows_are_refused_with_their_lines_and_shift_nobody(run, acme, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text(MALFORMED)

    done = run("import", "acme", people, "--json")

    assert (done["created"], done["refused"]) == (2, 4)
    refused = [json.loads(line) for line in Path(done["report"]).read_text().splitlines()]
    assert [one["line"] for one in refused] == [3, 4, 7, 8]
    assert "more cells than" in refused[0]["reason"]
    assert "no userName" in refused[2]["reason"]
    assert "from line 8 to 9: unexpected end of data" in refused[3]["reason"]
    assert [one["user_name"] for one in run("member", "list", "acme", "--json")] == ["ada", "dee"]


def test_a_file_is_of_people_or_of_groups(run, acme, tmp_path):
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("userName,displayName,members\nada,Ada,\n,Leads,ada\n")

    result = CliRunner().invoke(cli, ["import", "acme", str(mixed)])

    assert "Columns that are left out: 'members'." in result.stderr
    assert result.stdout.startswith("1 created, 0 known, 0 left out, 1 refused")


def test_an_interrupted_import_goes_on_where_it_stopped(run, acme, tmp_path, monkeypatch):
    people, refused = tmp_path / "people.csv", tmp_path / "people.csv.refused.ndjson"
    people.write_text(
        "userName,externalId\n,x\n" + "".join(f"u{number},\n" for number in range(248)) + ",y\n"
    )
    batches, transfer_rows = [], transfer.import_rows

    def import_two(*arguments, **named):
        batches.append(None)
        if len(batches) == 3:
            assert Path(f"{people}.progress").read_text() == f"{200:012}\n"  # for whoever is killed now
            raise KeyboardInterrupt
        return transfer_rows(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr("scim_server.operations.transfer.import_rows", import_two)
        run("import", "acme", people, fails=True)

    done = run("import", "acme", people, "--resume", "--json")

    assert (done["created"], done["refused"]) == (49, 1)
    assert [json.loads(line)["line"] for line in refused.read_text().splitlines()] == [2, 251]
    assert len(run("member", "list", "acme", "--json")) == 248
    assert not Path(f"{people}.progress").exists()


def test_everything_is_exported_and_no_secret(run, acme, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text(PEOPLE)
    run("import", "acme", people)
    made = run("token", "create", "acme", "--kind", "scim", "--json")

    text = run("export", "acme")

    lines = [json.loads(line) for line in text.splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds[0] == "organization"
    assert (kinds.count("member"), kinds.count("group"), kinds.count("token")) == (2, 2, 1)
    assert kinds.count("event") > 4
    assert made["token"] not in text
    assert "token_hash" not in text


@pytest.fixture
def pipe(run, database):
    """Run a command with something in its standard input, and return how it ended."""
    url = database.engine.url.render_as_string(hide_password=False)

    def run_command(*arguments: object, of: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from scim_server.cli import main; main()", *map(str, arguments)]
        environ = {**os.environ, "SCIM_DATABASE_URL": url}
        return subprocess.run(
            command, input=of, env=environ, cwd=Path.cwd(), capture_output=True, text=True, check=False
        )

    return run_command


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_people_are_imported_from_a_pipe(pipe, run, acme, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    people = "userName\nada\nben\n,\n"

    done = pipe("import", "acme", name, "--format", "csv", "--json", of=people)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "created": 2, "known": 0, "left_out": 0, "refused": 1, "report": "import.refused.ndjson",
    }  # fmt: skip
    assert [path.name for path in tmp_path.glob("*.ndjson")] == ["import.refused.ndjson"]
    assert not Path(f"{name}.progress").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("import acme - <&-", "Error: Standard input is closed.\n"),
        ("export acme >&-", "Error: Standard output is closed. Write to a file with --output.\n"),
    ],
)
def test_a_stream_that_is_closed_is_one_line(database, acme, arguments, says):
    url = database.engine.url.render_as_string(hide_password=False)
    command = f"{sys.executable} -c 'from scim_server.cli import main; main()' {arguments}"

    done = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "SCIM_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, says)


@pytest.mark.parametrize(
    "command", [["organization", "show", "\udcff"], ["member", "show", "acme", "a\udcff"]]
)
def test_a_name_that_is_no_text_is_one_line(run, acme, command):
    assert "Error: The command has bytes that are no UTF-8.\n" in run(*command, fails=True)


def test_what_came_through_a_pipe_is_not_resumed(pipe, acme):
    done = pipe("import", "acme", "-", "--resume", of='{"userName": "ada"}')

    assert done.returncode == 2
    assert "--resume is for files" in done.stderr


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("userName\nada\n,\n")
    return path


@pytest.mark.parametrize("said", ["", "x", "-1", "4", "9" * 30, "\xff"])
def test_damaged_progress_is_refused_in_words(run, acme, people, said):
    Path(f"{people}.progress").write_bytes(said.encode("latin-1"))

    assert "Import without --resume" in run("import", "acme", people, "--resume", fails=True)
    assert run("import", "acme", people, "--json")["created"] == 1


def test_nothing_is_imported_where_the_report_or_the_progress_cannot_be_written(run, acme, people):
    assert "nowhere/x: No such file or directory. Name a file that can be written with --report." in run(
        "import", "acme", people, "--report", "/nowhere/x", fails=True
    )
    Path(f"{people}.progress").mkdir()
    assert "people.csv.progress: Is a directory. Have the file in a directory that can be written" in run(
        "import", "acme", people, fails=True
    )
    assert run("member", "list", "acme", "--json") == []


def test_a_report_is_left_where_it_says_something_only(run, acme, people):
    report = Path(f"{people}.refused.ndjson")
    assert "1 refused" in run("import", "acme", people)
    assert report.exists()
    people.write_text("userName\nada\n")
    assert "0 refused" in run("import", "acme", people)
    assert not report.exists()


def test_a_report_that_was_there_is_not_taken_away(run, acme, people, tmp_path):
    people.write_text("userName\nada\n")
    report = tmp_path / "report"
    report.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)):
        run("import", "acme", people, "--report", report)
        run("import", "acme", people, "--report", pipe)

    assert report.read_text() == ""
    assert pipe.is_fifo()


@pytest.mark.parametrize("report", ["people.csv", "./people.csv", "people.csv.progress", "link"])
def test_a_report_does_not_take_the_place_of_what_is_imported(run, acme, people, monkeypatch, report):
    monkeypatch.chdir(people.parent)
    Path("link").symlink_to("people.csv")
    before = people.read_text()

    assert "name another file" in run("import", "acme", "people.csv", "--report", report, fails=True)

    assert people.read_text() == before
    assert run("member", "list", "acme", "--json") == []


def test_a_file_that_cannot_be_read_is_one_line(run, acme):
    """Reading it fails, while it can be opened."""
    said = run("import", "acme", "/proc/self/mem", fails=True)

    assert "Error: /proc/self/mem: Input/output error." in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["export", "acme"], "Error: Standard output: No space left on device. Write to a file with --output.\n"),
        (["export", "acme", "--output", "/nowhere/x"], "Error: /nowhere/x: No such file or directory. Choose another"),
        (["export", "acme", "--output", "/dev/full"], "Error: /dev/full: No space left on device. Choose another"),
        (["member", "list", "acme", "--json"], "Error: The result cannot be read or written: No space left"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_one_line(run, acme, database, arguments, says):
    url = database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", "from scim_server.cli import main; main()", *arguments]

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command,
            env={**os.environ, "SCIM_DATABASE_URL": url},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == 1


@pytest.fixture
def lose_the_connection(monkeypatch):
    """Have the first export lose its connection after two lines."""
    exported, losses = transfer.export, [OperationalError("", {}, Exception(), connection_invalidated=True)]

    def losing(tx, call):
        for number, line in enumerate(exported(tx, call)):
            if number == 2 and losses:
                raise losses.pop()
            yield line

    monkeypatch.setattr(transfer, "export", losing)


@pytest.mark.usefixtures("lose_the_connection", "acme")
def test_an_export_that_loses_its_connection_fails_and_writes_no_line_twice():
    result = CliRunner().invoke(cli, ["export", "acme"])

    assert result.exit_code == 1
    assert "The connection to the database was lost" in result.stderr
    kinds = [json.loads(line)["kind"] for line in result.stdout.splitlines()]
    assert kinds == ["organization", "seats"]


@pytest.mark.usefixtures("lose_the_connection", "acme")
def test_a_file_is_replaced_by_a_whole_export_only(run, tmp_path):
    target = tmp_path / "acme.ndjson"
    target.write_text("as it was")

    assert "Export again" in run("export", "acme", "--output", target, fails=True)

    assert (target.read_text(), [path.name for path in tmp_path.glob("acme*")]) == (
        "as it was",
        [target.name],
    )
    run("export", "acme", "--output", target)
    assert target.read_text() == run("export", "acme")
    assert [path.name for path in tmp_path.glob("acme*")] == [target.name]


def test_people_and_groups_of_an_export_are_imported(run, acme, tmp_path):
    people, exported = tmp_path / "people.csv", tmp_path / "acme.ndjson"
    people.write_text(PEOPLE)
    run("import", "acme", people)
    run("export", "acme", "--output", exported)
    run("organization", "create", "copy")

    done = run("import", "copy", exported, "--json")

    assert (done["created"], done["known"], done["refused"]) == (4, 0, 0)
    assert done["left_out"] == len(exported.read_text().splitlines()) - 4
    assert people_of(run, "copy") == people_of(run, "acme")
    assert [name for name, *_ in people_of(run, "copy")] == ["ada@example.com", "ben@example.com"]


def people_of(run, organization):
    """Return what an export says of people and their groups, without what is of the organization alone."""
    lines = [json.loads(line) for line in run("export", organization).splitlines()]
    return [
        (
            data["user_name"],
            data["status"],
            data["scim"],
            sorted(one["display_name"] for one in data["groups"]),
        )
        for data in (line["data"] for line in lines if line["kind"] == "member")
    ]


def test_an_export_may_be_written_to_what_is_no_file(run, acme, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reading:
        run("export", "acme", "--output", pipe)
        said = reading.read()

    assert pipe.is_fifo()
    assert said == run("export", "acme")


def test_an_export_is_for_who_made_it_and_for_who_could_read_the_last_one(run, acme, tmp_path):
    new, old, link = tmp_path / "new", tmp_path / "old", tmp_path / "link"
    old.touch(0o640)
    old.chmod(0o640)
    link.symlink_to(old)

    run("export", "acme", "--output", new)
    run("export", "acme", "--output", link)

    assert [path.stat().st_mode & 0o777 for path in (new, old)] == [0o600, 0o640]
    assert link.is_symlink()
    assert old.read_text() == new.read_text()


@pytest.mark.usefixtures("acme")
def test_an_export_that_is_told_to_stop_leaves_nothing(run, tmp_path, monkeypatch):
    def export(*_):
        yield {"kind": "organization"}
        assert list(tmp_path.iterdir())
        os.kill(os.getpid(), signal.SIGTERM)
        yield {"kind": "never"}

    monkeypatch.setattr("scim_server.operations.transfer.export", export)

    run("export", "acme", "--output", tmp_path / "acme.ndjson", fails=True)

    assert list(tmp_path.glob("acme*")) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


# -- what goes wrong


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["organization", "create", " "], "The name must be"),
        (["organization", "create", "x", "--seats", f"premium={10**20}"], "seats must be from 0"),
        (["organization", "create", "x", "--price", f"premium={10**20}"], "price of premium must be"),
        (["organization", "create", "x", "--term-start", "9999-12-31"], "term_start must lie"),
        (
            ["organization", "create", "x", "--set", "min_total=20", "--set", "max_total=10"],
            "must not be above max_total",
        ),
        (["organization", "create", "x", "--time-zone", "Mars/Olympus"], "no time zone"),
        (["organization", "price", "acme", f"premium={10**20}"], "price of premium must be"),
        (["token", "create", "acme", "--kind", "scim", "--expires-in", "999999w"], "at most 36500d"),
        (["token", "create", "acme", "--kind", "scim", "--expires-in", "0d"], "more than 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(run, acme, arguments, says):
    assert says in run(*arguments, fails=True)


def test_due_work_that_fails_is_an_error_and_the_rest_is_done(run, acme, monkeypatch):
    other = run("organization", "create", "other", "--json")
    done = [CaughtUp(acme["id"], 0, RuntimeError("broken")), CaughtUp(other["id"], 2)]
    monkeypatch.setattr(due, "run_all", lambda database, now: iter(done))

    result = CliRunner().invoke(cli, ["run-due"])

    assert result.exit_code == 1
    assert result.stdout == f"{other['id']}  2\n"
    assert f"{acme['id']}: broken" in result.stderr


def test_what_goes_wrong_is_one_line(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SCIM_DATABASE_URL", f"sqlite:///{tmp_path}/x.sqlite3")
    monkeypatch.setattr(sys, "argv", ["scim-server", "seat", "list", "nobody"])

    with pytest.raises(SystemExit) as stopped:
        main()

    assert stopped.value.code == 1
    assert capsys.readouterr().err == "Error: There is no organization nobody.\n"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////nowhere/x.sqlite3", "The database /nowhere/x.sqlite3 cannot be used: unable to open"),
        ("postgresql://scim:secret@127.0.0.1:1/scim", "cannot be used: connection failed: connection to server at"),
        ("postgresql://scim:secret@127.0.0.1:1/scim?colour=red", 'cannot be used: invalid connection option "colour"'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", [["organization", "list"], ["db", "upgrade"], ["serve", "--port", "1"]])
def test_why_a_database_cannot_be_used_is_said_in_the_words_of_its_driver(monkeypatch, command, url, says):
    monkeypatch.setenv("SCIM_DATABASE_URL", url)
    monkeypatch.setattr("scim_server.cli.server._reserved", lambda *_: nullcontext("127.0.0.1"))

    result = CliRunner().invoke(cli, command)

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The database")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert "secret" not in result.output


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
@pytest.mark.parametrize("command", [["organization", "list"], ["serve"]])
def test_no_command_works_in_a_memory_that_ends_with_it(monkeypatch, command, url):
    monkeypatch.setenv("SCIM_DATABASE_URL", url)
    monkeypatch.setattr("scim_server.cli.server._reserved", lambda *_: nullcontext("127.0.0.1"))

    result = CliRunner().invoke(cli, command)

    assert result.exit_code == 1
    assert "must name a file, as in sqlite:///file" in result.stderr


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_no_second_server_listens_where_one_does(command):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        result = CliRunner().invoke(cli, [command, "--port", str(port)])

    assert result.exit_code == 1
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in result.output


@pytest.mark.parametrize("host", ["nobody.invalid", "", "x" * 70, "[::1]"])
def test_a_host_that_is_none_is_refused_in_words(host):
    result = CliRunner().invoke(cli, ["serve", "--host", host])

    assert result.exit_code == 1
    assert "is no address of this machine, and no name of one." in result.stderr


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_server_says_which_setting_it_does_not_know(monkeypatch, command):
    monkeypatch.setenv("SCIM_DATABASE_URL", "sqlite://")  # where it ends
    monkeypatch.setenv("SCIM_POOL_SISE", "3")
    monkeypatch.setattr("scim_server.cli.server._reserved", lambda *_: nullcontext("127.0.0.1"))

    result = CliRunner().invoke(cli, [command])

    assert result.stderr.startswith(
        "SCIM_POOL_SISE is no setting of scim-server; SCIM_POOL_SIZE is.\nError: "
    )


def test_every_command_has_help():
    def walk(command, path):
        result = CliRunner().invoke(cli, [*path, "--help"])
        assert result.exit_code == 0
        for name, sub in getattr(command, "commands", {}).items():
            assert sub.help, (*path, name)
            walk(sub, [*path, name])

    walk(cli, [])


def test_a_shared_database_is_upgraded_on_purpose_only(make_postgresql, monkeypatch):
    monkeypatch.setenv("SCIM_DATABASE_URL", make_postgresql("not_upgraded", copy_of="template1"))

    refused = CliRunner().invoke(cli, ["organization", "list"])
    upgraded = CliRunner().invoke(cli, ["db", "upgrade"])
    accepted = CliRunner().invoke(cli, ["organization", "list"])

    assert refused.exit_code == 1
    assert refused.stderr == "Error: The schema of the database is not current: run scim-server db upgrade.\n"
    assert (upgraded.exit_code, accepted.exit_code) == (0, 0)


def test_the_embedded_database_is_made_by_the_command_that_finds_it_missing(tmp_path):
    environ = {**os.environ, "SCIM_DATABASE_URL": f"sqlite:///{tmp_path}/new.sqlite3"}
    command = [sys.executable, "-c", "from scim_server.cli import main; main()", "organization", "list"]

    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "new.sqlite3").exists()
