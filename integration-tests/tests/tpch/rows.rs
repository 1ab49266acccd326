//! The rows of TPC-H at a small scale: the same for a number of orders, and such that each of the 22 queries finds some.
//! In: how many orders. Out: rows as text, table by table. Never: the official generator's rows.

/// One table's rows, the key first.
pub(crate) type Rows = Vec<Vec<String>>;

const NATIONS: [(&str, usize); 25] = [
    ("ALGERIA", 0),
    ("ARGENTINA", 1),
    ("BRAZIL", 1),
    ("CANADA", 1),
    ("EGYPT", 4),
    ("ETHIOPIA", 0),
    ("FRANCE", 3),
    ("GERMANY", 3),
    ("INDIA", 2),
    ("INDONESIA", 2),
    ("IRAN", 4),
    ("IRAQ", 4),
    ("JAPAN", 2),
    ("JORDAN", 4),
    ("KENYA", 0),
    ("MOROCCO", 0),
    ("MOZAMBIQUE", 0),
    ("PERU", 1),
    ("CHINA", 2),
    ("ROMANIA", 3),
    ("SAUDI ARABIA", 4),
    ("VIETNAM", 2),
    ("RUSSIA", 3),
    ("UNITED KINGDOM", 3),
    ("UNITED STATES", 1),
];
const REGIONS: [&str; 5] = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];
/// Nations that queries ask for, so that a few suppliers are enough.
const WANTED: [usize; 10] = [2, 3, 6, 7, 8, 12, 18, 20, 22, 23];
const COLORS: [&str; 8] = ["green", "forest", "azure", "ivory", "linen", "peach", "steel", "tomato"];
const BRANDS: [&str; 6] = ["Brand#12", "Brand#23", "Brand#34", "Brand#45", "Brand#51", "Brand#13"];
const CONTAINERS: [&str; 6] = ["SM BOX", "MED BOX", "LG BOX", "SM PKG", "LG CASE", "JUMBO JAR"];
const TYPES: [&str; 6] = [
    "ECONOMY ANODIZED STEEL",
    "STANDARD POLISHED BRASS",
    "PROMO BURNISHED COPPER",
    "MEDIUM POLISHED TIN",
    "SMALL PLATED BRASS",
    "LARGE BRUSHED NICKEL",
];
const SIZES: [i64; 12] = [15, 49, 14, 23, 45, 19, 3, 36, 9, 1, 5, 50];
const SEGMENTS: [&str; 5] = ["AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY"];
const PRIORITIES: [&str; 5] = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"];
const MODES: [&str; 7] = ["AIR", "AIR REG", "MAIL", "SHIP", "TRUCK", "RAIL", "FOB"];
const INSTRUCTIONS: [&str; 4] = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"];
const WORDS: [&str; 12] = [
    "carefully",
    "special",
    "packages",
    "requests",
    "furious",
    "deposits",
    "sleep",
    "pending",
    "bold",
    "accounts",
    "above",
    "ideas",
];
/// The suppliers of a part.
const SUPPLIERS_OF_A_PART: i64 = 4;
/// Days of order dates, from 1992-01-01.
const DAYS: i64 = 2406;
/// The day that divides what has been delivered from what has not: 1995-06-17.
const TODAY: i64 = 1263;

/// Chance from a seed: splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1).unsigned_abs()).cast_signed()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.between(0, from.len() as i64 - 1).unsigned_abs() as usize]
    }

    fn words(&mut self, count: usize) -> String {
        (0..count).map(|_| self.pick(&WORDS)).collect::<Vec<_>>().join(" ")
    }

    /// Money from cents.
    fn money(&mut self, low: i64, high: i64) -> String {
        money(self.between(low, high))
    }

    fn phone(&mut self, nation: usize) -> String {
        format!("{}-{}-{}-{}", nation + 10, self.between(100, 999), self.between(100, 999), self.between(1000, 9999))
    }

    fn nation(&mut self) -> usize {
        if self.between(0, 9) < 7 { self.pick(&WANTED) } else { self.between(0, 24).unsigned_abs() as usize }
    }
}

fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

/// A day after 1992-01-01, as text.
fn date(day: i64) -> String {
    const MONTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (mut year, mut day) = (1992, day);
    let is_leap = |year: i64| year % 4 == 0;
    while day >= 365 + i64::from(is_leap(year)) {
        day -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    let length = |month: usize, year| MONTHS[month] + i64::from(month == 1 && is_leap(year));
    while day >= length(month, year) {
        day -= length(month, year);
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, day + 1)
}

/// How many rows there are of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Orders.
    pub(crate) orders: i64,
    customers: i64,
    parts: i64,
    suppliers: i64,
}

impl Scale {
    /// The scale with so many orders; the rest in proportion.
    pub(crate) fn of(orders: i64) -> Scale {
        let orders = orders.max(300);
        Scale { orders, customers: orders / 10, parts: orders * 2 / 15, suppliers: (orders / 100).max(20) }
    }

    fn chance(table: u64) -> Chance {
        Chance(table.wrapping_mul(0x00C0_FFEE_1234_5678))
    }

    /// The nth supplier of a part.
    fn supplier(&self, part: i64, n: i64) -> i64 {
        (part + n * (self.suppliers / SUPPLIERS_OF_A_PART).max(1)) % self.suppliers + 1
    }

    fn price(part: i64) -> i64 {
        90_000 + (part / 10) % 20_001 + 100 * (part % 1000)
    }

    /// The five regions.
    pub(crate) fn region(&self) -> Rows {
        let row = |(key, name): (usize, &&str)| vec![key.to_string(), (*name).to_owned(), "a region".to_owned()];
        REGIONS.iter().enumerate().map(row).collect()
    }

    /// The 25 nations.
    pub(crate) fn nation(&self) -> Rows {
        let row = |(key, (name, region)): (usize, &(&str, usize))| {
            vec![key.to_string(), (*name).to_owned(), region.to_string(), "a nation".to_owned()]
        };
        NATIONS.iter().enumerate().map(row).collect()
    }

    /// Suppliers, a few with complaints.
    pub(crate) fn supplier_rows(&self) -> Rows {
        let mut chance = Self::chance(1);
        let row = |key: i64| {
            let nation = chance.nation();
            let complaints = if key % 10 == 7 { "Customer loud Complaints" } else { "" };
            vec![
                key.to_string(),
                format!("Supplier#{key:09}"),
                chance.words(2),
                nation.to_string(),
                chance.phone(nation),
                chance.money(-99_999, 999_999),
                format!("{} {complaints}", chance.words(3)),
            ]
        };
        (1..=self.suppliers).map(row).collect()
    }

    /// Parts.
    pub(crate) fn part(&self) -> Rows {
        let mut chance = Self::chance(2);
        let row = |key: i64| {
            let (one, two) = (chance.pick(&COLORS), chance.pick(&COLORS));
            let size = if chance.between(0, 3) == 0 { chance.between(1, 50) } else { chance.pick(&SIZES) };
            vec![
                key.to_string(),
                format!("{one} {two} {}", chance.pick(&WORDS)),
                format!("Manufacturer#{}", chance.between(1, 5)),
                chance.pick(&BRANDS).to_owned(),
                chance.pick(&TYPES).to_owned(),
                size.to_string(),
                chance.pick(&CONTAINERS).to_owned(),
                money(Self::price(key)),
                chance.words(2),
            ]
        };
        (1..=self.parts).map(row).collect()
    }

    /// Four suppliers of each part.
    pub(crate) fn partsupp(&self) -> Rows {
        let mut chance = Self::chance(3);
        let pairs = (1..=self.parts).flat_map(|part| (0..SUPPLIERS_OF_A_PART).map(move |n| (part, n)));
        let row = |(part, n): (i64, i64)| {
            vec![
                part.to_string(),
                self.supplier(part, n).to_string(),
                chance.between(1, 9999).to_string(),
                chance.money(100, 100_000),
                chance.words(6),
            ]
        };
        pairs.map(row).collect()
    }

    /// Customers; every third has no orders.
    pub(crate) fn customer(&self) -> Rows {
        let mut chance = Self::chance(4);
        let row = |key: i64| {
            let nation = chance.nation();
            vec![
                key.to_string(),
                format!("Customer#{key:09}"),
                chance.words(2),
                nation.to_string(),
                chance.phone(nation),
                chance.money(-99_999, 999_999),
                chance.pick(&SEGMENTS).to_owned(),
                chance.words(5),
            ]
        };
        (1..=self.customers).map(row).collect()
    }

    /// Orders and their lines.
    pub(crate) fn orders(&self) -> (Rows, Rows) {
        let mut chance = Self::chance(5);
        let (mut orders, mut lines) = (Rows::new(), Rows::new());
        for number in 1..=self.orders {
            // keys with gaps, as the official ones have
            let key = (number / 8) * 32 + number % 8;
            let day = chance.between(0, DAYS - 151);
            let large = chance.between(0, 60) == 0;
            let count = if large { 7 } else { chance.between(1, 7) };
            let (mut total, mut open) = (0, 0);
            for line in 1..=count {
                let (row, price, is_open) = self.line(&mut chance, key, line, day, large);
                lines.push(row);
                total += price;
                open += i64::from(is_open);
            }
            let customer = 3 * chance.between(0, (self.customers - 2) / 3) + chance.between(1, 2);
            let status = if open == count { "O" } else { ["P", "F"][usize::from(open == 0)] };
            orders.push(vec![
                key.to_string(),
                customer.to_string(),
                status.to_owned(),
                money(total),
                date(day),
                chance.pick(&PRIORITIES).to_owned(),
                format!("Clerk#{:09}", chance.between(1, 1000)),
                "0".to_owned(),
                chance.words(4),
            ]);
        }
        (orders, lines)
    }

    /// A line, its price in cents, and whether it is on its way yet.
    fn line(&self, chance: &mut Chance, order: i64, line: i64, day: i64, large: bool) -> (Vec<String>, i64, bool) {
        let part = chance.between(1, self.parts);
        let supplier = self.supplier(part, chance.between(0, SUPPLIERS_OF_A_PART - 1));
        let quantity = if large { chance.between(40, 50) } else { chance.between(1, 50) };
        let price = quantity * Self::price(part);
        let (ship, commit) = (day + chance.between(1, 121), day + chance.between(30, 90));
        let receipt = ship + chance.between(1, 30);
        let flag = if receipt <= TODAY { chance.pick(&["R", "A"]) } else { "N" };
        let row = vec![
            order.to_string(),
            part.to_string(),
            supplier.to_string(),
            line.to_string(),
            quantity.to_string(),
            money(price),
            chance.money(0, 10),
            chance.money(0, 8),
            flag.to_owned(),
            if ship > TODAY { "O" } else { "F" }.to_owned(),
            date(ship),
            date(commit),
            date(receipt),
            chance.pick(&INSTRUCTIONS).to_owned(),
            chance.pick(&MODES).to_owned(),
            chance.words(3),
        ];
        (row, price, ship > TODAY)
    }
}

#[test]
fn days_are_dates() {
    assert_eq!(date(0), "1992-01-01");
    assert_eq!(date(59), "1992-02-29");
    assert_eq!(date(366), "1993-01-01");
    assert_eq!(date(TODAY), "1995-06-17");
    assert_eq!(date(DAYS - 1), "1998-08-02");
    assert_eq!(money(-1205), "-12.05");
}

#[test]
fn rows_are_the_same_each_time() {
    let scale = Scale::of(300);
    let (orders, lines) = scale.orders();
    assert_eq!((&orders, &lines), (&scale.orders().0, &scale.orders().1));
    assert_eq!(orders.len(), 300);
    assert!(lines.len() > 900 && scale.partsupp().len() == 160);
}
