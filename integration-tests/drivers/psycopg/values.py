"""psycopg 3: values of every type there and back, types of one's own, encodings, COPY. See cases.py."""

import datetime as dt
import io
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from ipaddress import ip_address, ip_interface, ip_network
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.pq import Format
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import Json, Jsonb
from psycopg.types.multirange import Multirange, MultirangeInfo, register_multirange
from psycopg.types.range import Range, RangeInfo, register_range

from cases import case, connect, dropped, error_of, first, main, told

UTC = dt.timezone.utc
INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
VALUES = [
    ("boolean", [True, False]),
    ("smallint", [0, -32768, 32767]),
    ("integer", [0, -(2**31), 2**31 - 1]),
    ("bigint", [0, -(2**63), 2**63 - 1]),
    ("real", [0.5, -1.25, float("inf")]),
    ("double precision", [0.1, 1e300, float("-inf"), 5e-324]),
    ("numeric", [Decimal("0"), Decimal("-12345678901234567890.123456789"), Decimal("NaN"), Decimal("1E-20"), Decimal("1E+30")]),
    ("text", ["", "ü € 漢 \U0001f600", "a\nb\t\\'\"", "x" * 100_000]),
    ("varchar(5)", ["abcde", ""]),
    ("char(4)", ["ab", "abcd"]),
    ("name", ["some_name"]),
    ("bytea", [b"", b"\x00\xff\\'", bytes(range(256)) * 40]),
    ("uuid", [UUID(int=0), UUID("12345678-1234-5678-1234-567812345678")]),
    ("date", [dt.date(2024, 2, 29), dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
    ("time", [dt.time(0), dt.time(23, 59, 59, 999999)]),
    ("timetz", [dt.time(12, 30, tzinfo=INDIA), dt.time(0, tzinfo=UTC)]),
    ("timestamp", [dt.datetime(2024, 2, 29, 12, 30, 1, 5), dt.datetime(1, 1, 1)]),
    ("timestamptz", [dt.datetime(2024, 2, 29, 12, 30, tzinfo=UTC), dt.datetime(1950, 7, 1, tzinfo=INDIA)]),
    ("interval", [dt.timedelta(0), dt.timedelta(days=-1, seconds=3, microseconds=7), dt.timedelta(days=400, hours=5)]),
    ("inet", [ip_address("10.1.2.3"), ip_interface("10.1.2.3/24"), ip_address("::1"), ip_interface("fe80::1/64")]),
    ("cidr", [ip_network("10.1.2.0/24"), ip_network("fe80::/64")]),
    ("json", [Json({"a": [1, None, "ü"]}), Json(None)]),
    ("jsonb", [Jsonb({"a": {"b": [1.5, True]}}), Jsonb([])]),
    ("int4range", [Range(1, 5), Range(None, 5), Range(1, None), Range(empty=True), Range(1, 5, "(]")]),
    ("numrange", [Range(Decimal("1.5"), Decimal("2.5"), "[]")]),
    ("daterange", [Range(dt.date(2024, 1, 1), dt.date(2024, 2, 1))]),
    ("tstzrange", [Range(dt.datetime(2024, 1, 1, tzinfo=UTC), dt.datetime(2024, 7, 1, tzinfo=INDIA))]),
    ("int8multirange", [Multirange([Range(1, 3), Range(5, 9)]), Multirange([])]),
    ("integer[]", [[], [1, None, 3], [[1, 2], [3, 4]]]),
    ("text[]", [["", "a,b", '"', "\\", "NULL", None, "ü"]]),
    ("numeric[]", [[Decimal("1.5"), None]]),
    ("timestamptz[]", [[dt.datetime(2024, 1, 1, tzinfo=UTC), None]]),
    ("int4range[]", [[Range(1, 2), Range(empty=True)]]),
    ("oid", [0, 2**32 - 1]),
]


def there_and_back(conn):
    found = []
    for kind, values in VALUES:
        for value in [*values, None]:
            seen = []
            for given, binary in [("s", False), ("t", False), ("b", True), ("t", True)]:
                try:
                    with conn.cursor(binary=binary) as cursor:
                        cursor.execute(f"SELECT %{given}::{kind}, %{given}::{kind}::text", [value, value])
                        row = cursor.fetchone()
                        seen.append(row if len(str(row)) < 300 else hash_of(row))
                except (psycopg.Error, OverflowError) as error:
                    seen.append(told(error))
            found.append((kind, seen))
    return found


def hash_of(row):
    return [(type(value).__name__, len(value), value[:20]) for value in row]


@case
def every_type_there_and_back():
    with connect() as conn:
        return there_and_back(conn)


@case
def every_type_with_settings_of_ones_own():
    found = []
    for options in ["-c TimeZone=Asia/Kolkata -c DateStyle=German", "-c IntervalStyle=iso_8601 -c DateStyle=SQL,DMY -c TimeZone=America/Chicago",
                    "-c bytea_output=escape -c extra_float_digits=0 -c IntervalStyle=sql_standard"]:
        with connect(options=options) as conn:
            found.append(there_and_back(conn))
    return found


@case
def times_follow_the_zone():
    found = []
    with connect() as conn:
        conn.execute("CREATE TEMPORARY TABLE moments (at timestamptz)")
        conn.execute("INSERT INTO moments VALUES (%s)", [dt.datetime(2024, 7, 1, 12, tzinfo=UTC)])
        for zone in ["UTC", "Europe/Rome", "America/St_Johns", "Asia/Tokyo"]:
            conn.execute("SELECT set_config('TimeZone', %s, false)", [zone])
            for binary in [False, True]:
                at = conn.execute("SELECT at FROM moments", binary=binary).fetchone()[0]
                found.append((zone, str(at), str(at.tzinfo), conn.info.timezone.key))
        conn.execute("SET TimeZone = '+03:30'")
        found.append(str(first(conn, "SELECT at FROM moments")))
        found.append(error_of(conn.execute, "SET TimeZone = 'Mars/Phobos'"))
    return found


@case
def words_in_other_encodings():
    found = []
    for name in ["utf8", "utf-8", "UTF_8", "latin1", "latin9", "win1252", "eucjp", "koi8r", "sql_ascii"]:
        with connect(client_encoding=name) as conn:
            found.append((name, conn.info.encoding, conn.info.parameter_status("client_encoding"), first(conn, "SHOW client_encoding")))
            for word in ["abc", "ü", "€", "漢字", "привет"]:
                found.append((word, error_of(lambda: found.append(first(conn, "SELECT %s::text || '.'", word)))))
                found.append(error_of(lambda: found.append(first(conn, sql.SQL("SELECT {}").format(sql.Literal(word))))))
            found.append(error_of(lambda: found.append(first(conn, "SELECT chr(8364)"))))
            found.append(error_of(lambda: found.append(first(conn, "SELECT U&'\\00FC'::bytea"))))
            found.append(error_of(conn.execute, "SELECT 'ü' FROM nowhere_ü"))
    with connect() as conn:
        for name in ["latin1", "utf8", "win1251"]:
            conn.execute(sql.SQL("SET client_encoding TO {}").format(sql.Literal(name)))
            found.append((conn.info.encoding, error_of(lambda: found.append(first(conn, "SELECT %s::text", "ü")))))
        found.append(error_of(conn.execute, "SET client_encoding TO 'wat'"))
        found.append(conn.info.encoding)
    found.append(error_of(connect, client_encoding="wat"))
    return found


class Mood(Enum):
    SAD = "sad"
    FINE = "fine ü"


@case
def enums_by_name():
    found = []
    with connect() as conn, dropped(conn, "SCHEMA feelings", "TYPE feelings.mood AS ENUM ('sad', 'fine ü')", "TABLE felt (mood feelings.mood, moods feelings.mood[])"):
        found.append(EnumInfo.fetch(conn, "mood"))
        info = EnumInfo.fetch(conn, "feelings.mood")
        found.append((info.name, info.labels, info.oid > 0, info.array_oid > 0, info.regtype))
        register_enum(info, conn, Mood)
        for binary in [False, True]:
            conn.execute("INSERT INTO felt VALUES (%s, %s)", [Mood.SAD, [Mood.FINE, Mood.SAD]], binary=binary)
            found += conn.execute("SELECT mood, moods FROM felt", binary=binary).fetchall()
        found.append(error_of(conn.execute, "INSERT INTO felt VALUES ('other')"))
        conn.execute("ALTER TYPE feelings.mood ADD VALUE 'glad'")
        conn.execute("INSERT INTO felt VALUES ('glad', '{glad}')")
        found.append(conn.execute("SELECT mood::text FROM felt WHERE mood = 'glad'").fetchall())
        found.append(EnumInfo.fetch(conn, sql.Identifier("feelings", "mood")).labels)
    return found


@dataclass
class Point:
    x: int
    label: str


@case
def composites_by_name():
    found = []
    with connect() as conn, dropped(conn, "TYPE point_of_mine AS (x integer, label text)", "TYPE line_of_mine AS (a point_of_mine, points point_of_mine[])",
                                    "TABLE drawn (n integer, line line_of_mine)"):
        register_composite(CompositeInfo.fetch(conn, "point_of_mine"), conn, factory=Point, make_object=lambda values, _info: Point(*values),
                           make_sequence=lambda point, _info: [point.x, point.label])
        info = CompositeInfo.fetch(conn, "line_of_mine")
        register_composite(info, conn)
        found.append((info.name, info.field_names, len(info.field_types)))
        for turn, binary in enumerate([False, True]):
            line = info.python_type(Point(1, 'a,"b"'), [Point(2, ""), Point(None, None)])
            conn.execute("INSERT INTO drawn VALUES (%s, %s)", [turn, line], binary=binary)
            found += [repr(row) for row in conn.execute("SELECT n, line FROM drawn ORDER BY n", binary=binary).fetchall()]
        found.append(first(conn, "SELECT (line).a.x FROM drawn LIMIT 1"))
        found.append(repr(first(conn, "SELECT drawn FROM drawn ORDER BY n LIMIT 1")))
        found.append(repr(first(conn, "SELECT ROW(1, 'x', ARRAY[1])", binary=True)))
        conn.execute("ALTER TYPE point_of_mine ADD ATTRIBUTE z integer CASCADE")
        found.append(CompositeInfo.fetch(conn, "point_of_mine").field_names)
    return found


@case
def ranges_and_domains_by_name():
    found = []
    with connect() as conn, dropped(conn, "TYPE inet_range AS RANGE (subtype = inet, multirange_type_name = inet_ranges)", "DOMAIN positive AS integer CHECK (VALUE > 0)",
                                    "TABLE ranged (r inet_range, rs inet_ranges, p positive)"):
        info, many = RangeInfo.fetch(conn, "inet_range"), MultirangeInfo.fetch(conn, "inet_ranges")
        found += [info.subtype_oid, many.subtype_oid, many.range_oid == info.oid]
        register_range(info, conn)
        register_multirange(many, conn)
        low, high = ip_address("10.0.0.1"), ip_address("10.0.0.9")
        for binary in [False, True]:
            conn.execute("INSERT INTO ranged VALUES (%s, %s, %s)", [Range(low, high), Multirange([Range(low, high)]), 5], binary=binary)
            found += conn.execute("SELECT * FROM ranged", binary=binary).fetchall()
        found.append(error_of(conn.execute, "INSERT INTO ranged (p) VALUES (%s)", [-1]))
        found.append(TypeInfo.fetch(conn, "positive").name)
        found.append((TypeInfo.fetch(conn, "no_such_type"), TypeInfo.fetch(conn, "text").oid, TypeInfo.fetch(conn, "int4[]")))
    with connect(autocommit=False) as conn:
        conn.execute("CREATE TYPE fleeting AS ENUM ('x')")
        found.append(EnumInfo.fetch(conn, "fleeting").labels)
        conn.rollback()
        found.append(EnumInfo.fetch(conn, "fleeting"))
    return found


ROWS = [(1, "plain", None, Decimal("1.5")), (2, "tab\tnewline\nback\\slash", dt.date(2024, 2, 29), None), (3, "ü€漢", dt.date(1, 1, 1), Decimal("-0.001")), (4, "", None, Decimal(0))]
KINDS = ["int4", "text", "date", "numeric"]


@case
def copied_in_and_out():
    found = []
    with connect() as conn, dropped(conn, "TABLE copied (n integer PRIMARY KEY, t text, d date, x numeric)"):
        for options in ["", " (FORMAT binary)", " (FORMAT csv, HEADER)", " (FORMAT csv, DELIMITER ';', NULL 'nil', QUOTE '''')"]:
            cursor = conn.cursor()
            if "csv" not in options:
                with cursor.copy(f"COPY copied FROM STDIN{options}") as copy:
                    copy.set_types(KINDS)
                    for row in ROWS:
                        copy.write_row(row)
                found.append((cursor.rowcount, cursor.statusmessage))
                with cursor.copy(f"COPY copied TO STDOUT{options}") as copy:
                    copy.set_types(KINDS)
                    found.append(list(copy.rows()))
            else:
                conn.execute("INSERT INTO copied SELECT n, n || ';,''', current_date - current_date + date '2024-01-01', NULL FROM generate_series(1, 3) n")
            with cursor.copy(f"COPY (SELECT * FROM copied ORDER BY n) TO STDOUT{options}") as copy:
                whole = b"".join(bytes(block) for block in copy)
            found.append((whole, cursor.rowcount, cursor.statusmessage))
            conn.execute("TRUNCATE copied")
            with cursor.copy(f"COPY copied FROM STDIN{options}") as copy:
                source = io.BytesIO(whole)
                while block := source.read(7):
                    copy.write(block)
            found.append(conn.execute("SELECT * FROM copied ORDER BY n").fetchall())
            conn.execute("TRUNCATE copied")
    return found


@case
def copies_that_fail():
    found = []
    with connect() as conn, dropped(conn, "TABLE copied (n integer PRIMARY KEY, t text)"):
        def copy(text, *blocks, failure=None, autocommit=True):
            with conn.cursor() as cursor, cursor.copy(text) as copying:
                for block in blocks:
                    copying.write(block)
                if failure:
                    raise failure

        into = "COPY copied FROM STDIN"
        for arguments in [(into, "1\ta\n", "x\tb\n"), (into, "1\ta\n1\tb\n"), (into, "1\n"), (into, b"1\t\xff\n"), ("COPY nothing FROM STDIN", "1\n"),
                          (f"{into} (FORMAT binary)", b"not binary"), (f"{into} (FORMAT nonsense)", "1\n"), ("SELECT 1", "1\n"), ("COPY copied TO STDOUT", "1\n"),
                          (f"{into}; SELECT 1", "1\ta\n"), (into, *["5\tx\n"] * 50_000)]:
            found.append((arguments[0], error_of(copy, *arguments)))
            found.append((first(conn, "SELECT count(*) FROM copied"), conn.info.transaction_status.name))
            conn.execute("TRUNCATE copied")
        found.append(error_of(copy, into, "1\ta\n", failure=KeyError("given up")))
        found.append(first(conn, "SELECT count(*) FROM copied"))
        with conn.transaction(force_rollback=True):
            copy(into, "1\ta\n")
            found.append(first(conn, "SELECT count(*) FROM copied"))
        found.append(first(conn, "SELECT count(*) FROM copied"))
        with conn.cursor() as cursor:
            with cursor.copy("COPY (SELECT generate_series(1, 1000000)) TO STDOUT") as copying:
                found.append(bytes(copying.read()))
            found.append((first(conn, "SELECT 1"), conn.info.transaction_status.name))
            found.append(error_of(lambda: list(cursor.copy("COPY (SELECT 1 / (3 - n) FROM generate_series(1, 5) n) TO STDOUT").__enter__())))
        with conn.pipeline():
            found.append(error_of(copy, into, "1\ta\n"))
        found.append(error_of(conn.execute, into))
        found.append(error_of(conn.execute, "COPY copied TO STDOUT"))
        found.append(first(conn, "SELECT 2"))
        with conn.cursor() as cursor, cursor.copy("COPY (SELECT n, %s::text FROM generate_series(1, %s) n) TO STDOUT", ["ü", 3]) as copying:
            found.append([row for row in copying.rows()])
    return found


@case
def large_copies():
    found = []
    with connect() as conn, connect() as other, dropped(conn, "TABLE large (n integer, t text)", "TABLE target (n integer, t text)"):
        with conn.cursor() as cursor, cursor.copy("COPY large FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(20_000):
                copy.write_row((n, "x" * (n % 300)))
            copy.write_row((20_000, "y" * 3_000_000))
        found.append(conn.execute("SELECT count(*), sum(n), sum(length(t)) FROM large").fetchone())
        with conn.cursor() as source, other.cursor() as target:
            with source.copy("COPY large TO STDOUT (FORMAT binary)") as reading, target.copy("COPY target FROM STDIN (FORMAT binary)") as writing:
                for block in reading:
                    writing.write(block)
        found.append(conn.execute("SELECT count(*), sum(n), sum(length(t)) FROM target").fetchone())
    return found


@case
def formats_of_results():
    found = []
    with connect() as conn:
        for given in [Format.TEXT, Format.BINARY]:
            for result in [False, True]:
                with conn.cursor(binary=result) as cursor:
                    cursor.execute("SELECT 1, 'x', 1.5, ARRAY[1, 2], now() IS NOT NULL, '{\"a\": 1}'::jsonb, %s::date" if given == Format.TEXT
                                   else "SELECT 1, 'x', 1.5, ARRAY[1, 2], now() IS NOT NULL, '{\"a\": 1}'::jsonb, %b::date", [dt.date(2024, 1, 1)])
                    found.append((cursor.fetchall(), [(column.name, column.type_code, column.type_display) for column in cursor.description],
                                  cursor.pgresult.fformat(0)))
    return found


main()
