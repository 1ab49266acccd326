//! How a client leaves: politely, in the middle of anything, or thrown out.

use std::time::Duration;

use pgring_integration_tests::script::{bind, copy_data, execute, flush, parse, query, sync, terminate};

use crate::player::Player;

impl Player {
    /// Leaves in some way.
    pub(crate) async fn leave(mut self) {
        let how = self.any(16);
        self.trace.push(format!("leaves by {how}, TLS: {}", self.is_tls));
        match how {
            0 | 1 => drop(self.raw.send(&terminate()).await),
            2 => self.world.note("left without a word"),
            3 => self.in_the_middle_of_a_message().await,
            4 => self.in_the_middle_of_a_result().await,
            5 => self.after_terminate().await,
            6 => self.half_closed().await,
            7 => self.in_a_transaction().await,
            8 => self.in_a_copy().await,
            9 => self.with_garbage().await,
            10 => self.in_a_pipeline().await,
            11 => self.while_it_sleeps().await,
            12 => self.with_a_cancel().await,
            13 => self.chained().await,
            14 => self.with_a_commit().await,
            _ => self.with_a_script().await,
        }
    }

    async fn in_the_middle_of_a_message(mut self) {
        let whole = query(&format!("SELECT '{}'", "x".repeat(5000)));
        let most = whole.len() as u64 - 1;
        let part = self.any(most) as usize;
        self.raw.send(&whole[..part]).await;
        self.world.note("left in a message");
    }

    async fn in_the_middle_of_a_result(mut self) {
        self.raw.send(&query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")).await;
        for _ in 0..self.any(50) {
            if self.raw.read().await.is_none_or(|frame| frame.tag == b'Z') {
                break;
            }
        }
        self.world.note("left in a result");
    }

    /// What was asked before the Terminate is answered.
    async fn after_terminate(mut self) {
        let word = self.word();
        self.raw.send(&[query(&format!("SELECT '{word}'")), terminate()].concat()).await;
        self.raw.shut().await;
        self.last_word(&word).await;
    }

    async fn half_closed(mut self) {
        let word = self.word();
        self.raw.send(&query(&format!("SELECT '{word}' FROM pg_sleep(0.01)"))).await;
        self.raw.shut().await;
        self.last_word(&word).await;
    }

    async fn last_word(mut self, word: &str) {
        let failed = self.is_failed();
        let answer = self.answer(1).await;
        match failed {
            true => assert_eq!(answer.errors, ["25P02"]),
            false => assert_eq!(answer.rows, [[word]], "{:?}", answer.errors),
        }
        self.world.note("heard to the end");
    }

    async fn in_a_transaction(mut self) {
        self.begin().await;
        if !self.is_failed() && self.now.counted == 0 {
            self.runs("UPDATE counter SET n = n + 1 WHERE id = 0", &[]).await;
        }
        self.world.note("left in a transaction");
    }

    async fn in_a_copy(mut self) {
        let mut out = query("COPY plain (owner, note) FROM STDIN");
        let row = copy_data(format!("{}\thalf\n", self.number).as_bytes());
        (0..self.any(100)).for_each(|_| out.extend_from_slice(&row));
        let part = self.any(row.len() as u64) as usize;
        out.extend_from_slice(&row[..part]);
        self.raw.send(&out).await;
        if self.any(2) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.world.note("left in a COPY");
    }

    /// Bytes that are no message end this session and no other.
    async fn with_garbage(mut self) {
        let garbage = match self.any(3) {
            0 => b"\x01garbage".to_vec(),
            1 => b"Q\0\0\0\x01".to_vec(),
            _ => b"Q\x7f\xff\xff\xff".to_vec(),
        };
        self.raw.send(&garbage).await;
        let mut last = None;
        while let Some(frame) = self.raw.read().await {
            if frame.tag == b'E' {
                last = frame.sqlstate();
            }
        }
        assert!(matches!(last.as_deref(), Some("08P01" | "54000")), "{last:?}");
        self.world.note("thrown out");
    }

    async fn in_a_pipeline(mut self) {
        let mut out = Vec::new();
        for text in ["BEGIN", "UPDATE counter SET n = n + 1 WHERE id = 1", "SELECT 1"] {
            out.extend([parse("", text, &[]), bind("", "", &[]), execute("", 0)].concat());
        }
        match self.any(3) {
            0 => out.extend(flush()),
            1 => out.extend(sync()),
            _ => {}
        }
        self.raw.send(&out).await;
        if self.any(2) == 0 {
            tokio::time::sleep(Duration::from_millis(self.any(30))).await;
        }
        self.world.note("left in a pipeline");
    }

    async fn while_it_sleeps(mut self) {
        let sql = if self.any(2) == 0 { "SELECT pg_sleep(60)" } else { "BEGIN; SELECT pg_sleep(60)" };
        self.raw.send(&query(sql)).await;
        tokio::time::sleep(Duration::from_millis(self.any(100))).await;
        self.world.note("left a sleeping statement");
    }

    async fn with_a_cancel(mut self) {
        self.raw.send(&query("SELECT pg_sleep(60)")).await;
        tokio::time::sleep(Duration::from_millis(self.any(50))).await;
        self.cancel_and_go().await;
        self.world.note("left with a cancel");
    }

    async fn chained(mut self) {
        self.begin().await;
        self.raw.send(&query("COMMIT AND CHAIN; UPDATE counter SET n = n + 1 WHERE id = 2")).await;
        self.leave_open();
        self.world.note("left in a chained transaction");
    }

    async fn with_a_commit(mut self) {
        if self.in_transaction() {
            self.raw.send(&query("COMMIT")).await;
            self.leave_open();
        }
        self.world.note("left with a COMMIT");
    }

    /// Several statements with a BEGIN among them.
    async fn with_a_script(mut self) {
        let sql = "SELECT 1; BEGIN; UPDATE counter SET n = n + 1 WHERE id = 3; SELECT 1";
        self.raw.send(&query(sql)).await;
        if self.any(2) == 0 {
            self.raw.read().await;
        }
        self.world.note("left in a script");
    }
}
