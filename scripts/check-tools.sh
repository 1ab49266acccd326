#!/bin/sh
# Checks that what a target needs is on this machine; says plainly what is missing and how to get it.
# usage: scripts/check-tools.sh [rust|lint|postgres|drivers|pgbouncer]...   (without arguments: rust lint postgres)
# As root on Debian or Ubuntu, missing packages are installed; PGRING_NO_INSTALL=1 prevents that.
set -u

oldest_rust=1.95
oldest_postgres=15
oldest_python=3.9
oldest_node=18
missing=0

complain() {
    printf 'missing: %s\n' "$1" >&2
    missing=1
}

# at_least WANTED FOUND: compares dotted versions
at_least() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -t. -k1,1n -k2,2n | head -n 1)" = "$1" ]
}

# install PACKAGE...: true when the packages are there afterwards
install() {
    [ -z "${PGRING_NO_INSTALL:-}" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    printf 'installing with apt-get: %s\n' "$*" >&2
    apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >&2
}

# The major version of the newest PostgreSQL server whose programs are in a usual place; the same places, in the same
# order, as `Binaries::find` in local-postgres/src/binaries.rs.
postgres_version() {
    if [ -n "${PGRING_PG_BIN:-}" ]; then
        programs=$PGRING_PG_BIN/postgres
    else
        programs=$(command -v postgres || ls -d /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres \
            /opt/homebrew/opt/postgresql@*/bin/postgres /usr/local/opt/postgresql@*/bin/postgres \
            /Applications/Postgres.app/Contents/Versions/*/bin/postgres 2>/dev/null)
    fi
    for program in $programs; do
        "$program" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p'
    done | sort -n | tail -n 1
}

check_rust() {
    if ! command -v cargo >/dev/null 2>&1; then
        complain "cargo (Rust $oldest_rust or newer): https://rustup.rs"
        return
    fi
    found=$(rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/')
    at_least "$oldest_rust" "$found" || complain "Rust $oldest_rust or newer, found $found: rustup update stable"
    command -v cc >/dev/null 2>&1 || install build-essential ||
        complain "a C compiler for one dependency (Debian: apt-get install build-essential)"
}

check_lint() {
    cargo fmt --version >/dev/null 2>&1 || complain "rustfmt: rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || complain "clippy: rustup component add clippy"
}

check_postgres() {
    found=$(postgres_version)
    if [ -z "$found" ] && [ -z "${PGRING_PG_BIN:-}" ] && install postgresql postgresql-client; then
        found=$(postgres_version)
    fi
    if [ -z "$found" ]; then
        complain "PostgreSQL $oldest_postgres or newer, the server's programs (none in ${PGRING_PG_BIN:-PATH, /usr/lib/postgresql, /usr/pgsql-*, Homebrew})
         Debian, Ubuntu: apt-get install postgresql     Fedora: dnf install postgresql-server
         macOS: brew install postgresql@17              elsewhere: set PGRING_PG_BIN to the folder of postgres and initdb"
    elif ! at_least "$oldest_postgres" "$found"; then
        complain "PostgreSQL $oldest_postgres or newer, found only $found (PGRING_PG_BIN chooses another)"
    fi
    if [ "$(id -u)" -eq 0 ] && ! id postgres >/dev/null 2>&1 && ! id nobody >/dev/null 2>&1; then
        complain "an account named postgres or nobody: PostgreSQL does not run as root"
    fi
}

# What the tests with psql and the drivers of other languages need.
check_drivers() {
    command -v psql >/dev/null 2>&1 || [ -x "${PGRING_PG_BIN:-}/psql" ] || install postgresql-client ||
        complain "psql (Debian, Ubuntu: apt-get install postgresql-client)"
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || install python3-venv ||
        complain "Python $oldest_python or newer with its venv module (Debian, Ubuntu: apt-get install python3-venv)"
    found=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
    [ -z "$found" ] || at_least "$oldest_python" "$found" || complain "Python $oldest_python or newer, found $found"
    { command -v node && command -v npm; } >/dev/null 2>&1 || install nodejs npm ||
        complain "Node.js $oldest_node or newer with npm (Debian, Ubuntu: apt-get install nodejs npm; https://nodejs.org)"
    found=$(node --version 2>/dev/null | tr -d v)
    [ -z "$found" ] || at_least "$oldest_node" "$found" || complain "Node.js $oldest_node or newer, found $found"
}

check_pgbouncer() {
    PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null 2>&1 || install pgbouncer ||
        printf 'note: no pgbouncer; the benchmark leaves it out (Debian: apt-get install pgbouncer)\n' >&2
}

[ $# -gt 0 ] || set -- rust lint postgres
for tool in "$@"; do
    case $tool in
    rust) check_rust ;;
    lint) check_lint ;;
    postgres) check_postgres ;;
    drivers) check_drivers ;;
    pgbouncer) check_pgbouncer ;;
    *)
        printf 'check-tools.sh: unknown tool %s\n' "$tool" >&2
        exit 2
        ;;
    esac
done
exit "$missing"
