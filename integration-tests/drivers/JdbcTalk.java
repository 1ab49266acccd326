// The PostgreSQL JDBC driver talks with a server: what it can do, step by step.
//
// In: PGRING_JDBC, a jdbc:postgresql:// address with user and password; TALK, a word that names of tables begin with.
// Out: `<step>: <what was seen>` for each step; the word that names begin with is left out.
// Never: says by itself what is right; two servers that are alike make it print the same.

import java.io.*;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.util.*;
import java.util.concurrent.Callable;
import org.postgresql.*;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.*;
import org.postgresql.util.PGobject;
import org.postgresql.xa.PGXADataSource;

public class JdbcTalk {
    static final String ADDRESS = System.getenv("PGRING_JDBC");
    static final String TALK = System.getenv().getOrDefault("TALK", "talk");
    static int failed = 0;

    interface Step { Object run(Connection c) throws Exception; }

    /** Runs a step with a connection of its own, opened with these options. */
    static void step(String name, String options, Step step) {
        String seen;
        try (Connection c = DriverManager.getConnection(ADDRESS + options)) {
            seen = String.valueOf(step.run(c));
        } catch (Throwable error) {
            failed++;
            StringWriter trace = new StringWriter();
            error.printStackTrace(new PrintWriter(trace));
            seen = "FAILED " + trace.toString().replace('\n', '|');
        }
        System.out.println((name + ": " + seen).replace(TALK, "TALK"));
    }

    /** What an error says. */
    static String told(Throwable error) {
        if (!(error instanceof SQLException e)) return String.valueOf(error);
        String said = e.getClass().getSimpleName() + " " + e.getSQLState() + " " + e.getMessage().replace('\n', '|');
        if (e instanceof BatchUpdateException batch) said += Arrays.toString(batch.getUpdateCounts());
        return e.getNextException() == null ? said : said + " > " + told(e.getNextException());
    }

    /** The error that something ends with. */
    static String refusal(Callable<?> run) {
        try {
            return "no error: " + run.call();
        } catch (Exception error) {
            return told(error);
        }
    }

    static void run(Connection c, String... all) throws SQLException {
        try (Statement s = c.createStatement()) {
            for (String sql : all) s.execute(sql.replace("#", TALK));
        }
    }

    /** The rows of a result, with the names and types of its columns. */
    static String rows(ResultSet r, String... columns) throws SQLException {
        StringBuilder seen = new StringBuilder();
        ResultSetMetaData meta = r.getMetaData();
        List<String> names = new ArrayList<>(List.of(columns));
        if (names.isEmpty()) for (int n = 1; n <= meta.getColumnCount(); n++) {
            names.add(meta.getColumnLabel(n));
            seen.append(meta.getColumnLabel(n)).append(' ').append(meta.getColumnTypeName(n)).append(n == meta.getColumnCount() ? ": " : ", ");
        }
        while (r.next()) {
            List<String> row = new ArrayList<>();
            for (String name : names) row.add(r.getString(name));
            seen.append(row);
        }
        r.close();
        return seen.toString();
    }

    static String query(Connection c, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(sql.replace("#", TALK))) {
            for (int n = 0; n < parameters.length; n++) s.setObject(n + 1, parameters[n]);
            return rows(s.executeQuery());
        }
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection c = DriverManager.getConnection(ADDRESS)) {
            run(c, "DROP TABLE IF EXISTS #_child, #_t CASCADE", "DROP FUNCTION IF EXISTS #_add(int, int)", "DROP SCHEMA IF EXISTS #_s CASCADE",
                "CREATE TABLE #_t (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'x', n numeric(10,2), at timestamptz, j jsonb, a int[], b bytea, u uuid)",
                "CREATE TABLE #_child (id int PRIMARY KEY REFERENCES #_t, note varchar(10))", "CREATE INDEX #_name ON #_t (name)",
                "CREATE FUNCTION #_add(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2'",
                "CREATE SCHEMA #_s CREATE TABLE own (a int)", "COMMENT ON TABLE #_t IS 'talks'");
        }
        statements();
        transactions();
        sessions();
        if (failed > 0) System.exit(1);
    }

    static void statements() {
        step("values", "", c -> query(c, "SELECT ?::int AS i, ? AS s, ?::numeric AS n, ?::bool AS b, ?::uuid AS u, ?::text AS z",
            7, "häß", new java.math.BigDecimal("1.50"), true, UUID.fromString("b7cbc4c2-3c3c-4f3e-9f86-5a1d9e0a1d9e"), null));
        for (String options : new String[] {"", "&prepareThreshold=1", "&prepareThreshold=-1", "&preferQueryMode=simple",
            "&preferQueryMode=extendedForPrepared", "&binaryTransfer=false", "&preparedStatementCacheQueries=2"}) {
            step("server-prepared after a while" + options, options, c -> {
                StringBuilder seen = new StringBuilder();
                try (PreparedStatement s = c.prepareStatement("SELECT ?::int + 1 AS next, now() IS NOT NULL AS b, 1.5::float8 AS f, date '2026-01-02' AS d, ?::text AS t")) {
                    for (int turn = 0; turn < 9; turn++) {
                        s.setInt(1, turn);
                        s.setString(2, "t" + turn);
                        seen.append(rows(s.executeQuery()));
                    }
                    seen.append(s.unwrap(PGStatement.class).isUseServerPrepare());
                }
                for (int turn = 0; turn < 6; turn++) seen.append(query(c, "SELECT " + turn + " AS n, ? AS s", "a" + turn));
                return seen;
            });
        }
        for (String options : new String[] {"", "&reWriteBatchedInserts=true"}) {
            step("batches" + options, options, c -> {
                List<Object> seen = new ArrayList<>();
                try (PreparedStatement s = c.prepareStatement("INSERT INTO " + TALK + "_t (name, n) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
                    for (int turn = 0; turn < 300; turn++) {
                        s.setString(1, "b" + turn);
                        s.setInt(2, turn);
                        s.addBatch();
                    }
                    int[] counts = s.executeBatch();
                    seen.add(counts.length + " " + Arrays.stream(counts).sum());
                    ResultSet keys = s.getGeneratedKeys();
                    int many = 0;
                    while (keys.next()) many++;
                    seen.add(many);
                }
                try (Statement s = c.createStatement()) {
                    s.addBatch("UPDATE " + TALK + "_t SET n = n + 1 WHERE name = 'b1'");
                    s.addBatch("DELETE FROM " + TALK + "_t WHERE name LIKE 'b2%'");
                    seen.add(Arrays.toString(s.executeBatch()));
                    s.addBatch("INSERT INTO " + TALK + "_t (name) VALUES ('kept?')");
                    s.addBatch("INSERT INTO " + TALK + "_t (n) VALUES (1 / 0)");
                    s.addBatch("INSERT INTO " + TALK + "_t (name) VALUES ('never')");
                    seen.add(refusal(() -> s.executeBatch()));
                }
                seen.add(query(c, "SELECT count(*), sum(n) FROM #_t"));
                run(c, "DELETE FROM #_t");
                return seen;
            });
        }
        step("generated keys", "", c -> {
            List<Object> seen = new ArrayList<>();
            run(c, "TRUNCATE #_t RESTART IDENTITY CASCADE");
            try (PreparedStatement s = c.prepareStatement("INSERT INTO " + TALK + "_t (name) VALUES (?)", new String[] {"id", "name"})) {
                s.setString(1, "one");
                seen.add(s.executeUpdate() + rows(s.getGeneratedKeys()));
            }
            try (Statement s = c.createStatement()) {
                s.executeUpdate("INSERT INTO " + TALK + "_t (name) VALUES ('two'), ('three')", Statement.RETURN_GENERATED_KEYS);
                seen.add(rows(s.getGeneratedKeys(), "id"));
            }
            seen.add(query(c, "UPDATE #_t SET n = 1 WHERE id = ? RETURNING id, n", 2));
            return seen;
        });
        step("several results, updatable results", "", c -> {
            List<Object> seen = new ArrayList<>();
            try (Statement s = c.createStatement()) {
                boolean isResult = s.execute("SELECT 1 AS a; UPDATE " + TALK + "_t SET n = 2; SELECT 'z' AS b");
                for (int turn = 0; turn < 4; turn++) {
                    seen.add(isResult ? rows(s.getResultSet()) : s.getUpdateCount());
                    isResult = s.getMoreResults();
                }
            }
            try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
                ResultSet r = s.executeQuery("SELECT id, name FROM " + TALK + "_t ORDER BY id");
                r.last();
                seen.add(r.getRow());
                r.updateString("name", "changed");
                r.updateRow();
                r.absolute(1);
                r.deleteRow();
            }
            seen.add(query(c, "SELECT id, name FROM #_t ORDER BY id"));
            return seen;
        });
        step("functions that are called", "", c -> {
            try (CallableStatement s = c.prepareCall("{ ? = call " + TALK + "_add(?, ?) }")) {
                s.registerOutParameter(1, Types.INTEGER);
                s.setInt(2, 40);
                s.setInt(3, 2);
                s.execute();
                return s.getInt(1) + query(c, "SELECT {fn length('abc')} AS l, {d '2026-01-02'} AS d");
            }
        });
        step("arrays, json, bytes, times", "", c -> {
            try (PreparedStatement s = c.prepareStatement("INSERT INTO " + TALK + "_t (id, a, j, b, at) VALUES (99, ?, ?, ?, ?) RETURNING a, j, b, at AT TIME ZONE 'UTC' AS at, cardinality(a) AS len")) {
                s.setArray(1, c.createArrayOf("int4", new Integer[] {1, 2, null}));
                PGobject json = new PGobject();
                json.setType("jsonb");
                json.setValue("{\"a\": [1]}");
                s.setObject(2, json);
                s.setBytes(3, new byte[] {0, 1, -1});
                s.setObject(4, java.time.OffsetDateTime.parse("2026-02-03T04:05:06.789Z"));
                return rows(s.executeQuery());
            }
        });
        step("errors", "", c -> List.of(refusal(() -> query(c, "SELEC 1")), refusal(() -> query(c, "SELECT * FROM #_gone")),
            refusal(() -> query(c, "SELECT 1 / ?", 0)), refusal(() -> query(c, "INSERT INTO #_child VALUES (-1, 'x') RETURNING id")),
            refusal(() -> query(c, "INSERT INTO #_child VALUES (99, 'much too long') RETURNING id")), query(c, "SELECT 'alive' AS is")));
        step("what is known of parameters", "", c -> {
            try (PreparedStatement s = c.prepareStatement("SELECT id, name FROM " + TALK + "_t WHERE id = ? AND n > ?")) {
                ParameterMetaData p = s.getParameterMetaData();
                ResultSetMetaData r = s.getMetaData();
                return p.getParameterCount() + p.getParameterTypeName(1) + p.getParameterTypeName(2) + r.getColumnCount()
                    + r.getColumnTypeName(2) + r.isAutoIncrement(1) + r.isNullable(2) + r.getTableName(1);
            }
        });
        step("a plan survives its table's changes", "&prepareThreshold=1", c -> {
            List<Object> seen = new ArrayList<>();
            run(c, "CREATE TABLE #_plan (a int)", "INSERT INTO #_plan VALUES (1)");
            try (PreparedStatement s = c.prepareStatement("SELECT * FROM " + TALK + "_plan")) {
                for (int turn = 0; turn < 3; turn++) seen.add(rows(s.executeQuery()));
                run(c, "ALTER TABLE #_plan ADD COLUMN b text DEFAULT 'new'");
                for (int turn = 0; turn < 2; turn++) seen.add(refusal(() -> rows(s.executeQuery())));
                run(c, "ALTER TABLE #_plan ALTER COLUMN a TYPE text");
                c.setAutoCommit(false);
                seen.add(refusal(() -> rows(s.executeQuery())));
                c.rollback();
                seen.add(refusal(() -> rows(s.executeQuery())));
                c.rollback();
                c.setAutoCommit(true);
            }
            run(c, "DROP TABLE #_plan");
            return seen;
        });
    }

    static void transactions() {
        step("rows by fetch size", "", c -> {
            c.setAutoCommit(false);
            List<Object> seen = new ArrayList<>();
            try (PreparedStatement s = c.prepareStatement("SELECT n, repeat('x', n % 7) AS x FROM generate_series(1, ?) AS n");
                 PreparedStatement other = c.prepareStatement("SELECT ?::int")) {
                s.setFetchSize(100);
                s.setInt(1, 1234);
                ResultSet r = s.executeQuery();
                long sum = 0;
                for (int many = 0; r.next(); many++) {
                    sum += r.getInt(1) + r.getString(2).length();
                    if (many % 300 == 0) {
                        other.setInt(1, many);
                        seen.add(rows(other.executeQuery()));
                    }
                }
                seen.add(sum);
            }
            c.commit();
            return seen;
        });
        step("savepoints", "", c -> {
            c.setAutoCommit(false);
            run(c, "CREATE TABLE #_sp (a int)", "INSERT INTO #_sp VALUES (1)");
            Savepoint named = c.setSavepoint("named"), plain = c.setSavepoint();
            String error = refusal(() -> query(c, "SELECT 1 / 0"));
            String failed = refusal(() -> query(c, "SELECT 1"));
            c.rollback(plain);
            run(c, "INSERT INTO #_sp VALUES (2)");
            c.releaseSavepoint(plain);
            c.rollback(named);
            String all = query(c, "SELECT a FROM #_sp");
            c.rollback();
            return List.of(error, failed, all, refusal(() -> query(c, "SELECT a FROM #_sp")));
        });
        for (String autosave : new String[] {"always", "conservative", "never"}) {
            step("autosave " + autosave, "&autosave=" + autosave, c -> {
                c.setAutoCommit(false);
                run(c, "CREATE TABLE #_auto (a int PRIMARY KEY)", "INSERT INTO #_auto VALUES (1)");
                List<Object> seen = new ArrayList<>();
                for (int turn = 0; turn < 6; turn++) seen.add(refusal(() -> query(c, "INSERT INTO #_auto VALUES (1) RETURNING a")));
                seen.add(refusal(() -> query(c, "SELECT count(*) FROM #_auto")));
                c.rollback();
                return seen;
            });
        }
        step("isolation, read only, holdability", "", c -> {
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            c.setReadOnly(true);
            String seen = query(c, "SELECT current_setting('default_transaction_isolation') AS l, current_setting('transaction_read_only') AS r");
            c.setAutoCommit(false);
            seen += query(c, "SELECT current_setting('transaction_isolation') AS l, current_setting('transaction_read_only') AS r");
            seen += refusal(() -> query(c, "INSERT INTO #_t (name) VALUES ('ro') RETURNING id"));
            c.rollback();
            c.setReadOnly(false);
            c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            seen += c.getTransactionIsolation() + query(c, "SELECT current_setting('transaction_read_only') AS r");
            c.commit();
            c.setHoldability(ResultSet.HOLD_CURSORS_OVER_COMMIT);
            return seen + query(c, "SELECT 1 AS a");
        });
        step("COPY", "", c -> {
            CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder in = new StringBuilder();
            for (int n = 0; n < 20000; n++) in.append(1000 + n).append("\tcopied ").append(n).append('\n');
            long many = copy.copyIn("COPY " + TALK + "_t (id, name) FROM STDIN", new StringReader(in.toString()));
            StringWriter out = new StringWriter();
            long read = copy.copyOut("COPY (SELECT id, name FROM " + TALK + "_t WHERE id >= 1000 ORDER BY id) TO STDOUT", out);
            String bad = refusal(() -> copy.copyIn("COPY " + TALK + "_t (id) FROM STDIN", new StringReader("x\n")));
            String gone = refusal(() -> copy.copyOut("COPY " + TALK + "_gone TO STDOUT", new StringWriter()));
            var half = copy.copyIn("COPY " + TALK + "_t (name) FROM STDIN");
            half.writeToCopy("never\n".getBytes(StandardCharsets.UTF_8), 0, 6);
            half.cancelCopy();
            run(c, "DELETE FROM #_t WHERE id >= 1000");
            return List.of(many, read, out.toString().equals(in.toString()), bad, gone, query(c, "SELECT count(*) FROM #_t WHERE name = 'never'"));
        });
        step("large objects", "", c -> {
            c.setAutoCommit(false);
            LargeObjectManager manager = c.unwrap(PGConnection.class).getLargeObjectAPI();
            long oid = manager.createLO(LargeObjectManager.READWRITE);
            LargeObject object = manager.open(oid, LargeObjectManager.WRITE);
            byte[] content = new byte[150000];
            new Random(7).nextBytes(content);
            object.write(content);
            object.close();
            c.commit();
            object = manager.open(oid, LargeObjectManager.READ);
            boolean equal = Arrays.equals(object.read(200000), content);
            object.seek(149990);
            String seen = equal + " " + object.tell() + " " + object.size() + " " + object.read(100).length;
            object.close();
            manager.delete(oid);
            c.commit();
            return seen + refusal(() -> manager.open(oid)).replace(String.valueOf(oid), "OID");
        });
        step("two-phase commit by XA", "", c -> {
            PGXADataSource source = new PGXADataSource();
            source.setUrl(ADDRESS);
            var xa = source.getXAConnection();
            var resource = xa.getXAResource();
            javax.transaction.xa.Xid xid = new javax.transaction.xa.Xid() {
                public int getFormatId() { return 7; }
                public byte[] getGlobalTransactionId() { return (TALK + "-xa").getBytes(StandardCharsets.UTF_8); }
                public byte[] getBranchQualifier() { return new byte[] {1}; }
            };
            resource.start(xid, javax.transaction.xa.XAResource.TMNOFLAGS);
            run(xa.getConnection(), "INSERT INTO #_t (id, name) VALUES (500, 'xa')");
            resource.end(xid, javax.transaction.xa.XAResource.TMSUCCESS);
            int vote = resource.prepare(xid);
            String before = query(c, "SELECT count(*) FROM #_t WHERE id = 500");
            resource.commit(xid, false);
            xa.close();
            return vote + before + query(c, "SELECT name FROM #_t WHERE id = 500");
        });
    }

    static void sessions() {
        step("time-out of a query", "", c -> {
            try (Statement s = c.createStatement()) {
                s.setQueryTimeout(1);
                return refusal(() -> s.execute("SELECT pg_sleep(20)")) + query(c, "SELECT 'alive' AS is");
            }
        });
        step("cancel", "", c -> {
            try (Statement s = c.createStatement()) {
                Thread canceller = new Thread(() -> {
                    try {
                        Thread.sleep(300);
                        s.cancel();
                    } catch (Exception error) {
                        throw new IllegalStateException(error);
                    }
                });
                canceller.start();
                String seen = refusal(() -> s.execute("SELECT pg_sleep(20)"));
                canceller.join();
                return seen + query(c, "SELECT 'alive' AS is");
            }
        });
        step("options", "&ApplicationName=talks&currentSchema=" + TALK + "_s,public&assumeMinServerVersion=12&options=-c%20work_mem=5MB&connectTimeout=5&socketTimeout=20&tcpKeepAlive=true",
            c -> query(c, "SELECT current_setting('application_name') AS a, current_setting('search_path') AS p, current_setting('work_mem') AS w,"
                + " current_setting('extra_float_digits') AS f, current_schema() AS s") + query(c, "SELECT * FROM own") + c.getSchema());
        step("properties of the connection", "", c -> {
            c.setSchema(TALK + "_s");
            c.setClientInfo("ApplicationName", "other");
            String seen = query(c, "SELECT * FROM own") + c.getSchema() + c.getCatalog() + c.getClientInfo("ApplicationName") + c.isValid(5);
            seen += query(c, "SELECT current_setting('application_name') AS a");
            var parameters = new TreeMap<>(c.unwrap(PGConnection.class).getParameterStatuses());
            c.setNetworkTimeout(Runnable::run, 5000);
            return seen + parameters + c.getNetworkTimeout();
        });
        step("time zones", "", c -> {
            run(c, "SET TIME ZONE 'Asia/Tokyo'");
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT timestamptz '2026-01-01 00:00Z' AS at")) {
                r.next();
                return r.getTimestamp(1).getTime() + r.getString(1) + r.getObject(1, java.time.OffsetDateTime.class).toInstant();
            }
        });
        step("notices and warnings", "", c -> {
            try (Statement s = c.createStatement()) {
                s.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$");
                List<String> seen = new ArrayList<>();
                for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) seen.add(w.getSQLState() + w.getMessage());
                return seen;
            }
        });
        step("notifications", "", c -> {
            run(c, "LISTEN #_news", "NOTIFY #_news, 'own'");
            PGNotification[] heard = c.unwrap(PGConnection.class).getNotifications(5000);
            boolean own = heard[0].getPID() == c.unwrap(PGConnection.class).getBackendPID();
            return heard[0].getName() + heard[0].getParameter() + own;
        });
        step("catalogs", "", c -> {
            DatabaseMetaData d = c.getMetaData();
            List<Object> seen = new ArrayList<>();
            seen.add(rows(d.getTables(null, "public", TALK + "%", new String[] {"TABLE"}), "TABLE_NAME", "TABLE_TYPE", "REMARKS"));
            seen.add(rows(d.getColumns(null, "public", TALK + "_t", "%"), "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS", "NULLABLE", "COLUMN_DEF", "IS_AUTOINCREMENT"));
            seen.add(rows(d.getPrimaryKeys(null, "public", TALK + "_t"), "COLUMN_NAME", "PK_NAME"));
            seen.add(rows(d.getImportedKeys(null, "public", TALK + "_child"), "PKTABLE_NAME", "PKCOLUMN_NAME", "FK_NAME", "UPDATE_RULE"));
            seen.add(rows(d.getExportedKeys(null, "public", TALK + "_t"), "FKTABLE_NAME", "FKCOLUMN_NAME"));
            seen.add(rows(d.getIndexInfo(null, "public", TALK + "_t", false, true), "INDEX_NAME", "COLUMN_NAME", "NON_UNIQUE"));
            seen.add(rows(d.getFunctions(null, "public", TALK + "%"), "FUNCTION_NAME"));
            seen.add(rows(d.getProcedureColumns(null, "public", TALK + "_add", "%"), "COLUMN_NAME", "TYPE_NAME"));
            seen.add(rows(d.getSchemas(null, TALK + "%"), "TABLE_SCHEM"));
            seen.add(rows(d.getTablePrivileges(null, "public", TALK + "_t"), "GRANTEE", "PRIVILEGE"));
            ResultSet types = d.getTypeInfo();
            Set<String> names = new TreeSet<>();
            while (types.next()) names.add(types.getString("TYPE_NAME"));
            seen.add(names.containsAll(List.of("int4", "text", "jsonb", "uuid", "timestamptz", "_int4")));
            seen.add(d.getDatabaseProductName() + d.getDatabaseProductVersion() + d.getMaxConnections() + d.getMaxColumnNameLength());
            seen.add(d.getSQLKeywords().length() > 100);
            return seen;
        });
        step("temporary tables", "", c -> {
            run(c, "CREATE TEMP TABLE mine (a int)", "INSERT INTO mine VALUES (1), (2)");
            return query(c, "SELECT sum(a) FROM mine") + rows(c.getMetaData().getTables(null, null, "mine", new String[] {"TEMPORARY TABLE"}), "TABLE_NAME", "TABLE_TYPE");
        });
    }
}
