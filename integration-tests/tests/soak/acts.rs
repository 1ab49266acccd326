//! What a client does, and what it must see of it.

use std::time::Duration;

use pgring_integration_tests::client::{Raw, cancel};
use pgring_integration_tests::script::{
    bind, close, copy_data, copy_done, copy_fail, describe, execute, flush, parse, query, sync,
};

use crate::player::Player;
use crate::state::SETTINGS;

impl Player {
    /// Something at random.
    pub(crate) async fn act(&mut self) {
        if self.is_failed() && self.any(3) > 0 {
            return Box::pin(self.end_transaction()).await;
        }
        match self.any(24) {
            0 | 1 => self.value().await,
            2 => self.unnamed().await,
            3 | 4 => self.pipeline().await,
            5 | 6 => self.named().await,
            7 => self.sql_prepared().await,
            8 | 9 => self.setting().await,
            10 => self.check_settings().await,
            11 => self.transaction().await,
            12 => self.end_transaction().await,
            13 => self.temp().await,
            14 => self.lock().await,
            15 | 16 => self.listen().await,
            17 => self.copy_in().await,
            18 => self.copy_out().await,
            19 => self.cursor().await,
            20 => self.cancelled().await,
            21 => self.count().await,
            22 => self.sharded().await,
            _ => self.portions().await,
        }
    }

    async fn value(&mut self) {
        let word = self.word();
        self.runs(&format!("SELECT '{word}'"), &[&[&word]]).await;
        if self.any(8) == 0 {
            let several = format!("SELECT '{word}'; SELECT 'again {word}' FROM plain LIMIT 0; SELECT '{word}'");
            self.runs(&several, &[&[&word], &[&word]]).await;
        }
    }

    async fn unnamed(&mut self) {
        let word = self.word();
        let text = format!("SELECT $1::text || ':{}'", self.number);
        let request =
            [parse("", &text, &[]), bind("", "", &[&word]), describe(b'P', ""), execute("", 0), sync()].concat();
        let (failed, listened) = (self.is_failed(), self.now.listens.clone());
        let answer = self.ask(&request, 1).await;
        self.check_heard(&answer, &listened);
        if failed {
            assert_eq!(answer.errors, ["25P02"]);
            return;
        }
        assert_eq!(answer.rows, [[format!("{word}:{}", self.number)]], "{:?} {:?}", answer.errors, self.trace);
    }

    /// Many batches in one write; one of them may fail.
    async fn pipeline(&mut self) {
        if self.in_transaction() {
            return;
        }
        let (batches, wrong) = (1 + self.any(8), self.any(16));
        let (mut out, mut expected, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for nth in 0..batches {
            for part in 0..=self.any(3) {
                let word = self.word();
                let fails = nth == wrong && part == 0;
                let text = if fails { "SELECT 1 / (length($1) - length($1))" } else { "SELECT $1::text" };
                out.extend([parse("", text, &[25]), bind("", "", &[&word]), execute("", 0)].concat());
                match nth == wrong {
                    true if fails => errors.push("22012"),
                    true => {}
                    false => expected.push(vec![word]),
                }
                if self.any(6) == 0 {
                    out.extend(flush());
                }
            }
            out.extend(sync());
        }
        let listened = self.now.listens.clone();
        let answer = self.ask(&out, batches as usize).await;
        self.check_heard(&answer, &listened);
        assert_eq!((answer.rows, answer.errors), (expected, errors.iter().map(ToString::to_string).collect()));
        self.must_be(b'I');
    }

    /// Named statements: made, executed, described, closed.
    async fn named(&mut self) {
        if self.is_failed() {
            return;
        }
        let (name, word, before) = (format!("s{}", self.any(3)), self.word(), self.status);
        let known = self.statements.get(&name).cloned();
        let prefix = format!("p{}.{word}", self.number);
        let text = format!("SELECT '{prefix}:' || $1::text");
        let (request, error) = match self.any(4) {
            0 => (parse(&name, &text, &[25]), known.is_some().then_some("42P05")),
            1 => (describe(b'S', &name), known.is_none().then_some("26000")),
            2 => (close(b'S', &name), None),
            _ => ([bind("", &name, &[&word]), execute("", 0)].concat(), known.is_none().then_some("26000")),
        };
        let listened = self.now.listens.clone();
        let answer = self.ask(&[request.clone(), sync()].concat(), 1).await;
        self.check_heard(&answer, &listened);
        assert_eq!(answer.errors, error.into_iter().collect::<Vec<_>>(), "{name}: {:?}", self.trace);
        if error.is_some() {
            return self.must_be(if before == b'I' { b'I' } else { b'E' });
        }
        match request[0] {
            b'P' => drop(self.statements.insert(name, prefix)),
            b'C' => drop(self.statements.remove(&name)),
            b'B' => assert_eq!(answer.rows, [[format!("{}:{word}", known.unwrap())]], "{:?}", self.trace),
            _ => {}
        }
    }

    async fn sql_prepared(&mut self) {
        let (number, word) = (self.number, self.word());
        if self.runs(&format!("PREPARE q AS SELECT '{number}:' || $1::text"), &[]).await {
            let listing = "SELECT name FROM pg_prepared_statements WHERE from_sql";
            self.runs(listing, &[&["q"]]).await;
            self.runs(&format!("EXECUTE q('{word}')"), &[&[&format!("{number}:{word}")]]).await;
            self.runs("DEALLOCATE q", &[]).await;
            self.fails(&format!("EXECUTE q('{word}')"), "26000").await;
        }
    }

    #[expect(clippy::collapsible_match, reason = "a guard that asks a server would be hard to see")]
    async fn setting(&mut self) {
        let name = SETTINGS[self.any(SETTINGS.len() as u64) as usize];
        let word = self.word();
        let value = match name {
            "search_path" => format!("public, s{}", self.number),
            "work_mem" => format!("{}kB", 100 + self.number % 900),
            "timezone" => ["Asia/Tokyo", "Europe/Rome", "UTC"][self.any(3) as usize].to_owned(),
            "datestyle" => ["ISO, DMY", "SQL, MDY", "German, DMY"][self.any(3) as usize].to_owned(),
            _ => word,
        };
        let quoted = if name == "search_path" { value.clone() } else { format!("'{value}'") };
        match self.any(8) {
            0..=2 => {
                if self.runs(&format!("SET {name} = {quoted}"), &[]).await {
                    self.now.set(name, Some(value));
                }
            }
            3 => {
                if self.in_transaction() && self.runs(&format!("SET LOCAL {name} = {quoted}"), &[]).await {
                    self.now.local.insert(name, value);
                }
            }
            4 => {
                if self.runs(&format!("SELECT set_config('{name}', '{value}', false)"), &[&[&value]]).await {
                    self.now.set(name, Some(value));
                }
            }
            5 => {
                if self.runs(&format!("RESET {name}"), &[]).await {
                    self.now.set(name, None);
                }
            }
            6 => {
                let soaker = self.any(2) == 0;
                if self.runs(if soaker { "SET ROLE soaker" } else { "RESET ROLE" }, &[]).await {
                    self.now.is_soaker = soaker;
                }
            }
            _ if !self.in_transaction() => {
                self.runs("DISCARD ALL", &[]).await;
                self.now.discard();
                self.statements.clear();
                self.locks.clear();
            }
            _ => {}
        }
        self.check_settings().await;
    }

    /// BEGIN, a savepoint, an error.
    async fn transaction(&mut self) {
        self.begin().await;
        match self.any(4) {
            0 if !self.is_failed() && self.saved.is_none() => {
                self.runs("SAVEPOINT sp", &[]).await;
                self.saved = Some(self.now.clone());
            }
            1 => self.fails("SELECT 1 / 0", "22012").await,
            _ => self.value().await,
        }
    }

    /// COMMIT, ROLLBACK and their like.
    async fn end_transaction(&mut self) {
        if !self.in_transaction() {
            return;
        }
        let failed = self.is_failed();
        let (sql, commits, chains) = match self.any(5) {
            0 if self.saved.is_some() => {
                let answer = self.ask(&query("ROLLBACK TO sp"), 1).await;
                assert!(answer.errors.is_empty(), "{:?}", self.trace);
                self.now = self.saved.clone().unwrap();
                return self.must_be(b'T');
            }
            0 | 1 => ("ROLLBACK", false, false),
            2 => ("COMMIT AND CHAIN", !failed, true),
            _ => ("COMMIT", !failed, false),
        };
        let listened = self.now.listens.clone();
        let answer = self.ask(&query(sql), 1).await;
        let tag = if commits { "COMMIT" } else { "ROLLBACK" };
        assert_eq!((&answer.tags[..], &answer.errors[..]), (&[tag.to_owned()][..], &[][..]), "{:?}", self.trace);
        self.ended(commits);
        self.check_heard(&answer, &listened);
        self.must_be(if chains { b'T' } else { b'I' });
        if chains {
            self.begin_again();
        }
    }

    async fn temp(&mut self) {
        let number = self.number.to_string();
        match self.any(3) {
            0 if !self.now.has_temp => {
                if self.runs(&format!("CREATE TEMP TABLE mine AS SELECT {number} AS owner"), &[]).await {
                    self.now.has_temp = true;
                }
            }
            1 if self.now.has_temp => {
                if self.runs("DROP TABLE mine", &[]).await {
                    self.now.has_temp = false;
                }
            }
            _ => self.check_temp().await,
        }
    }

    /// Session advisory locks; one that it does not hold it cannot give back.
    async fn lock(&mut self) {
        let key = self.any(3) as u8;
        if self.is_failed() {
            return;
        }
        let held = self.locks.get(&key).copied().unwrap_or(0);
        let (sql, is_take) = match self.any(2) {
            0 => (format!("SELECT pg_try_advisory_lock({key})"), true),
            _ => (format!("SELECT pg_advisory_unlock({key})"), false),
        };
        let answer = self.ask(&query(&sql), 1).await;
        self.check_heard(&answer, &self.now.listens);
        let got = answer.rows[0][0] == "t";
        if is_take {
            assert!(got || held == 0, "its own lock is refused after {:?}", self.trace);
            self.locks.insert(key, held + u64::from(got));
        } else {
            assert_eq!(got, held > 0, "lock {key} after {:?}", self.trace);
            self.locks.insert(key, held.saturating_sub(1));
        }
    }

    async fn listen(&mut self) {
        let channel = self.any(4) as u8;
        match self.any(4) {
            0 => {
                // Others may be heard before the LISTEN is answered.
                let is_new = self.now.listens.insert(channel);
                if !self.runs(&format!("LISTEN c{channel}"), &[]).await && is_new {
                    self.now.listens.remove(&channel);
                }
            }
            1 => {
                if self.runs(&format!("UNLISTEN c{channel}"), &[]).await {
                    self.now.listens.remove(&channel);
                }
            }
            _ if !self.in_transaction() => {
                let payload = format!("c{channel}:{}", self.word());
                let answer = self.ask(&query(&format!("NOTIFY c{channel}, '{payload}'")), 1).await;
                self.check_heard(&answer, &self.now.listens);
                let own = answer.heard.iter().any(|(_, heard)| *heard == payload);
                assert_eq!(own, self.now.listens.contains(&channel), "{payload} after {:?}", self.trace);
            }
            _ => {
                let word = self.word();
                self.runs(&format!("NOTIFY c{channel}, 'c{channel}:{word}'"), &[]).await;
            }
        }
    }

    async fn copy_in(&mut self) {
        if self.is_failed() {
            return;
        }
        let (rows, before, word) = (self.any(20), self.status, self.word());
        let mut out = query("COPY plain (owner, note) FROM STDIN");
        for _ in 0..rows {
            out.extend(copy_data(format!("{}\t{word}\n", self.number).as_bytes()));
        }
        let kept = self.any(3) > 0;
        out.extend(if kept { copy_done() } else { copy_fail("no more") });
        let listened = self.now.listens.clone();
        let answer = self.ask(&out, 1).await;
        self.check_heard(&answer, &listened);
        if kept {
            assert_eq!(answer.tags, [format!("COPY {rows}")], "{:?} {:?}", answer.errors, self.trace);
            self.now.copied += rows;
            if before == b'I' {
                self.settle();
            }
        } else {
            assert_eq!(answer.errors, ["57014"], "{:?}", self.trace);
        }
        self.must_be(if before == b'T' && !kept { b'E' } else { before });
    }

    async fn copy_out(&mut self) {
        if self.is_failed() {
            return;
        }
        let (rows, word) = (self.any(50), self.word());
        let sql = format!("COPY (SELECT '{word}' FROM generate_series(1, {rows})) TO STDOUT");
        let listened = self.now.listens.clone();
        let answer = self.ask(&query(&sql), 1).await;
        self.check_heard(&answer, &listened);
        assert_eq!(answer.copied, vec![word; rows as usize], "{:?} {:?}", answer.errors, self.trace);
    }

    async fn cursor(&mut self) {
        if self.is_failed() {
            return;
        }
        let (hold, word) = (if self.in_transaction() { "" } else { "WITH HOLD" }, self.word());
        let sql = format!("DECLARE cur CURSOR {hold} FOR SELECT '{word}' || g FROM generate_series(1, 9) g");
        self.runs(&sql, &[]).await;
        let row = |at: u8| format!("{word}{at}");
        self.runs("FETCH 2 FROM cur", &[&[&row(1)], &[&row(2)]]).await;
        self.runs("FETCH FROM cur", &[&[&row(3)]]).await;
        self.runs("CLOSE cur", &[]).await;
    }

    /// Cancels its own statement, or tries to while it is idle.
    async fn cancelled(&mut self) {
        if self.is_failed() {
            return;
        }
        let (key, before, word) = (self.raw.cancel_key.unwrap(), self.status, self.word());
        if self.any(3) == 0 {
            cancel(self.world.port, key).await;
            return self.value().await;
        }
        assert!(self.raw.send(&query(&format!("SELECT '{word}' FROM pg_sleep(0.1)"))).await);
        self.trace.push(format!("sleeps for {word}"));
        tokio::time::sleep(Duration::from_millis(self.any(150))).await;
        cancel(self.world.port, key).await;
        let answer = self.answer(1).await;
        self.check_heard(&answer, &self.now.listens);
        if answer.errors.is_empty() {
            assert_eq!(answer.rows, [[word]]);
            self.world.note("cancels too late");
            return self.must_be(before);
        }
        assert_eq!(answer.errors, ["57014"], "{:?}", self.trace);
        self.world.note("cancels");
        self.must_be(if before == b'I' { b'I' } else { b'E' });
    }

    async fn count(&mut self) {
        // A second row could meet another client's first.
        if self.now.counted > 0 {
            return;
        }
        let (id, before) = (self.any(4), self.status);
        if self.runs(&format!("UPDATE counter SET n = n + 1 WHERE id = {id}"), &[]).await {
            self.now.counted += 1;
            if before == b'I' {
                self.settle();
            }
        }
    }

    async fn sharded(&mut self) {
        if self.in_transaction() || self.now.settings.contains_key("search_path") {
            return;
        }
        let id = self.number * 1000 + self.any(1000);
        let number = self.number.to_string();
        let sql = format!("INSERT INTO sharded VALUES ({id}, {number}) ON CONFLICT (id) DO NOTHING");
        self.runs(&sql, &[]).await;
        self.runs(&format!("SELECT owner FROM sharded WHERE id = {id}"), &[&[&number]]).await;
        let all = format!("SELECT max(owner) FROM sharded WHERE owner = {number}");
        self.runs(&all, &[&[&number]]).await;
    }

    /// A portal that is executed row by row.
    async fn portions(&mut self) {
        if self.is_failed() {
            return;
        }
        let word = self.word();
        let text = format!("SELECT '{word}' || g FROM generate_series(1, 5) g");
        let opening = [parse("", &text, &[]), bind("p", "", &[]), execute("p", 2), execute("p", 2), execute("p", 0)];
        let listened = self.now.listens.clone();
        let answer = self.ask(&[opening.concat(), close(b'P', "p"), sync()].concat(), 1).await;
        self.check_heard(&answer, &listened);
        let expected: Vec<_> = (1..=5).map(|at| vec![format!("{word}{at}")]).collect();
        assert_eq!(answer.rows, expected, "{:?} {:?}", answer.errors, self.trace);
    }

    /// A cancel whose sender does not wait.
    pub(crate) async fn cancel_and_go(&self) {
        let (process, secret) = self.raw.cancel_key.unwrap();
        let mut raw = Raw::connect(self.world.port).await;
        let request = [16_i32, 80_877_102, process, secret].map(i32::to_be_bytes).concat();
        raw.send(&request).await;
    }
}
