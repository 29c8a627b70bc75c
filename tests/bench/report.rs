//! Plain tables, as they stand in `docs/performance.md`.

pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>();
        let rule = head.iter().map(|_| "---".to_owned()).collect();
        Self { rows: vec![head, rule] }
    }

    pub fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }

    pub fn print(&self) {
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
        println!();
    }
}
