//! Functions and operators by type. In: a scope and a type. Out: calls over expressions of any type. Never: a function whose
//! answer hangs on chance, nor one that fails for some of the rows.

use super::{Generator, Scope, Type};

impl Generator {
    /// A call that makes a value of the type.
    pub(super) fn function(&mut self, scope: &Scope, kind: Type, depth: usize) -> String {
        let depth = depth.saturating_sub(1);
        match kind {
            Type::Integer => self.integer_function(scope, depth),
            Type::Numeric => self.numeric_function(scope, depth),
            Type::Float => {
                let one = self.expression(scope, Type::Float, depth);
                let other = self.expression(scope, Type::Float, depth);
                self.chosen(&[
                    format!("floor({one})"),
                    format!("abs({one})"),
                    format!("(- {one})"),
                    format!("least({one}, {other})"),
                    format!("({one})::real::float8"),
                ])
            }
            Type::Date | Type::Timestamp | Type::Instant => self.time_function(scope, kind, depth),
            Type::Text => self.text_function(scope, depth),
            Type::Array => {
                let (one, number) =
                    (self.expression(scope, Type::Array, depth), self.expression(scope, Type::Integer, depth));
                self.chosen(&[
                    format!("({one} || ({number} % 100)::int)"),
                    format!("({one})[1:2]"),
                    format!("array_remove({one}, 1)"),
                    format!("ARRAY[({number} % 100)::int, NULL]"),
                ])
            }
            Type::Json => {
                let one = self.expression(scope, Type::Json, depth);
                let number = self.expression(scope, Type::Integer, depth);
                self.chosen(&[
                    format!("({one} -> 'o')"),
                    format!("jsonb_build_object('n', {number})"),
                    format!("({one} #> '{{l,0}}')"),
                    format!("to_jsonb({number})"),
                ])
            }
            other => self.expression(scope, other, depth),
        }
    }

    fn chosen(&mut self, from: &[String]) -> String {
        from[self.below(from.len())].clone()
    }

    fn integer_function(&mut self, scope: &Scope, depth: usize) -> String {
        let (one, other) = (self.expression(scope, Type::Integer, depth), self.expression(scope, Type::Integer, depth));
        let text = self.expression(scope, Type::Text, depth);
        let (array, json) = (self.expression(scope, Type::Array, depth), self.expression(scope, Type::Json, depth));
        let condition = self.boolean(scope, 0);
        self.chosen(&[
            format!("abs({one} % 1000)"),
            format!("mod({one}, 7)"),
            format!("greatest({one}, {other})"),
            format!("least({one}, {other})"),
            format!("length({text})"),
            format!("strpos({text}, 'a')"),
            format!("sign({one})::int"),
            format!("cardinality({array})"),
            format!("({array})[1]"),
            format!("({json} ->> 'n')::int"),
            format!("({condition})::int"),
            format!("(CASE {one} WHEN 1 THEN 10 WHEN {other} THEN NULL ELSE 3 END)"),
        ])
    }

    fn numeric_function(&mut self, scope: &Scope, depth: usize) -> String {
        self.mixes_scales = true;
        let (one, other) = (self.expression(scope, Type::Numeric, depth), self.expression(scope, Type::Numeric, depth));
        let number = self.expression(scope, Type::Integer, depth);
        self.chosen(&[
            format!("round({one}, 1)"),
            format!("abs({one})"),
            format!("trunc({one})"),
            format!("(- {one})"),
            format!("greatest({one}, {other})"),
            format!("({number})::numeric"),
            format!("({one} / 4)"),
        ])
    }

    fn time_function(&mut self, scope: &Scope, kind: Type, depth: usize) -> String {
        let one = self.expression(scope, kind, depth);
        let other = self.expression(scope, kind, depth);
        let from = self.expression(scope, Type::Timestamp, depth);
        match (kind, self.below(4)) {
            (Type::Date, 0) => format!("date_trunc('month', {one})::date"),
            (Type::Date, 1) => format!("({from})::date"),
            (_, 2) => format!("greatest({one}, {other})"),
            (Type::Timestamp, 0) => format!("date_trunc('day', {one})"),
            (Type::Instant, 0) => format!("({from} AT TIME ZONE 'UTC')"),
            (Type::Date, _) => format!("({one} - 3)"),
            _ => format!("({one} + interval '1 day')"),
        }
    }

    fn text_function(&mut self, scope: &Scope, depth: usize) -> String {
        let one = self.expression(scope, Type::Text, depth);
        let (number, date) = (self.expression(scope, Type::Integer, depth), self.expression(scope, Type::Date, depth));
        let (json, mood) = (self.expression(scope, Type::Json, depth), self.expression(scope, Type::Mood, depth));
        let condition = self.boolean(scope, 0);
        self.chosen(&[
            format!("upper({one})"),
            format!("left({one}, 1)"),
            format!("({one} || '-x')"),
            format!("concat({one}, {number})"),
            format!("lpad({one}, 3, '*')"),
            format!("coalesce({one}, '-')"),
            format!("reverse({one})"),
            format!("format('%s/%s', {number}, {one})"),
            format!("to_char({date}, 'YYYY-MM')"),
            format!("({json} ->> 't')"),
            format!("({mood})::text"),
            format!("({condition})::text"),
            format!("(({one}) COLLATE \"de-x-icu\")"),
        ])
    }

    /// A condition in one of SQL's less plain forms.
    pub(super) fn odd_condition(&mut self, scope: &Scope, depth: usize) -> String {
        let number = self.expression(scope, Type::Integer, depth);
        let (low, high) = (self.expression(scope, Type::Integer, 0), self.expression(scope, Type::Integer, 0));
        let text = self.expression(scope, Type::Text, depth);
        let (array, json) = (self.expression(scope, Type::Array, depth), self.expression(scope, Type::Json, depth));
        let mood = self.expression(scope, Type::Mood, depth);
        let identity = scope.identity.join(", ");
        let row = vec!["2"; scope.identity.len()].join(", ");
        let compared = if scope.keys.iter().any(|(_, kind)| *kind != Type::Integer) || scope.identity.is_empty() {
            format!("({number}, {low}) >= ({high}, 1)")
        } else {
            format!("({identity}) >= ({row})")
        };
        let not = self.pick(&["", "NOT "]);
        self.chosen(&[
            format!("{number} {not}BETWEEN {low} AND {high}"),
            format!("{number} {not}BETWEEN SYMMETRIC {low} AND {high}"),
            format!("{text} {not}LIKE '%a%'"),
            format!("{text} {not}ILIKE 'Ä%'"),
            format!("{text} ~ '^[a-z]'"),
            format!("{number} = ANY ({array})"),
            format!("{number} <> ALL ({array})"),
            format!("{array} @> ARRAY[1]"),
            format!("{array} && ARRAY[2, 3]"),
            format!("{json} @> '{{\"n\": 1}}'"),
            format!("{json} ? 't'"),
            format!("{mood} > 'ok'"),
            compared,
            format!("({number} > {low}) IS NOT TRUE"),
            format!("({number}, {low}) IN ((1, 2), ({high}, 3), (NULL, 1))"),
        ])
    }
}
