"""psql at a real terminal: the tab key completes, Ctrl-C cancels.

In: PGRING_DSN, whose database has a table psql_customers; PSQL, the program.
Out: `ok <step>` for each step that went right, `FAILED <step>: <why>` for each other; exit code 1 after any failure.
Never: waits longer than its limits.
"""

import os
import pty
import re
import select
import sys
import time

DSN = os.environ["PGRING_DSN"]
PSQL = os.environ.get("PSQL", "psql")
PROMPT = "app=# "
ANSWER_SECONDS = 15
#: Escape sequences that line editing writes.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x07")


class Terminal:
    """psql behind a terminal of 24 lines and 200 columns."""

    def __init__(self):
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.environ.update(TERM="xterm", PAGER="cat", COLUMNS="200", LINES="24", PSQL_HISTORY="/dev/null", LC_ALL="C")
            os.execvp(PSQL, [PSQL, "-X", DSN])
        self.shown = ""

    def type(self, keys):
        self.shown = ""
        os.write(self.terminal, keys.encode())

    def wait_for(self, wanted, seconds=ANSWER_SECONDS):
        """Reads until the terminal shows a text; returns everything shown since the last keys."""
        end = time.monotonic() + seconds
        while wanted not in self.shown:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.terminal], [], [], left)[0]:
                raise AssertionError(f"no {wanted!r} within {seconds} s, but {self.shown!r}")
            try:
                piece = os.read(self.terminal, 65536)
            except OSError:  # the other end is closed
                piece = b""
            if not piece:
                raise AssertionError(f"psql ended; it had shown {self.shown!r}")
            self.shown += ESCAPES.sub("", piece.decode(errors="replace"))
        return self.shown

    def close(self):
        self.type("\x15\\q\n")
        end = time.monotonic() + 5
        while os.waitpid(self.child, os.WNOHANG)[0] == 0:
            if time.monotonic() > end:
                os.kill(self.child, 9)
                os.waitpid(self.child, 0)
                break
            time.sleep(0.02)
        os.close(self.terminal)


def the_tab_key_completes_names(psql):
    psql.type("SELECT name FROM psql_custom\t")
    psql.wait_for("psql_customers ")  # psql asked the catalog and wrote the rest of the name
    psql.type("WHERE custom\t")
    psql.wait_for("customer_id ")
    psql.type("= 3;\n")
    psql.wait_for("customer 03")
    psql.wait_for("(1 row)")
    psql.wait_for(PROMPT)
    psql.type("UPDATE psql_cust\t")
    psql.wait_for("psql_customers ")
    psql.type("SET n\t\t")
    shown = psql.wait_for("note")
    if "name" not in shown:
        raise AssertionError(f"columns after a double tab are {shown!r}")
    psql.type("\x15")
    psql.type("\\d psql_ord\t")
    psql.wait_for("psql_orders")
    psql.type("\x15SET work_m\t")
    psql.wait_for("work_mem ")
    psql.type("\x15\\c ap\t")
    psql.wait_for("app ")
    psql.type("\x15SELECT 'still here' AS w;\n")
    psql.wait_for(PROMPT)


def ctrl_c_cancels(psql):
    begun = time.monotonic()
    psql.type("SELECT pg_sleep(60);\n")
    time.sleep(0.5)  # as a user would: the statement is on its way
    psql.type("\x03")
    psql.wait_for("ERROR:  canceling statement due to user request", 5)
    psql.wait_for(PROMPT)
    if time.monotonic() - begun > 5:
        raise AssertionError("the cancel took longer than 5 s")
    psql.type("SELECT name FROM psql_customers WHERE customer_id = 4;\n")
    psql.wait_for("customer 04")
    psql.wait_for(PROMPT)


def timing_is_shown(psql):
    psql.type("\\timing on\n")
    psql.wait_for("Timing is on.")
    psql.wait_for(PROMPT)
    psql.type("SELECT count(*) FROM psql_customers;\n")
    psql.wait_for("Time: ")
    psql.wait_for(PROMPT)


def the_prompt_knows_the_transaction(psql):
    psql.type("BEGIN;\n")
    psql.wait_for("app=*# ")
    psql.type("SELECT 1 / 0;\n")
    psql.wait_for("app=!# ")
    psql.type("ROLLBACK;\n")
    psql.wait_for(PROMPT)


def main():
    failed = 0
    for step in (the_tab_key_completes_names, ctrl_c_cancels, timing_is_shown, the_prompt_knows_the_transaction):
        name = step.__name__.replace("_", " ")
        psql = Terminal()
        try:
            psql.wait_for(PROMPT)
            step(psql)
            print(f"ok {name}", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"FAILED {name}: {error}", flush=True)
        finally:
            psql.close()
    sys.exit(1 if failed else 0)


main()
