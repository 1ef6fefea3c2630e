//! `baro demo`: publishes simulated prices, so that a chart has something to show.

use super::{channel_url, publish::send};
use crate::config::Demo;
use std::{io::Write, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// The sender name of the messages, which says that the prices are not real.
const NAME: &str = "simulated ticker";

/// Companies that do not exist: symbol, initial price, and the fraction of the price that it moves in a tick.
const COMPANIES: [(&str, f64, f64); 4] =
    [("HANGANG", 128.40, 0.0022), ("DALBIT", 96.15, 0.0035), ("NABI", 61.80, 0.0060), ("SORI", 34.25, 0.0045)];

/// Publishes simulated prices until the process is stopped, or `options.count` times.
///
/// # Errors
/// Returns an error if the server refuses a message, or if all tries of a message fail.
pub async fn demo(options: Demo) -> anyhow::Result<()> {
    let mut url = channel_url(&options.server.url, &options.channel)?;
    writeln!(
        std::io::stdout(),
        "Publishing simulated prices of companies that do not exist. Watch them at {url}\nCtrl-C ends it."
    )?;
    url.query_pairs_mut().append_pair("from", NAME);
    let client = reqwest::Client::new();
    let mut market = Market::default();
    let mut ticks = interval(options.every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut left = options.count.unwrap_or(u64::MAX);
    while left > 0 {
        left -= 1;
        ticks.tick().await;
        market.move_on(chance);
        send(&client, &url, market.to_json()).await?;
    }
    Ok(())
}

/// A number from -1 to 1, most often near 0.
fn chance() -> f64 {
    let bits = getrandom::u64().unwrap_or(0);
    // The sum of four uniform numbers is near the middle more often than at the ends.
    let sum: u64 = (0..4).map(|die| bits >> (16 * die) & 0xffff).sum();
    sum as f64 / (2.0 * 65_535.0) - 1.0
}

struct Market {
    prices: [f64; COMPANIES.len()],
    /// A slowly changing trend that moves all prices.
    mood: f64,
}

impl Default for Market {
    fn default() -> Self {
        Self { prices: COMPANIES.map(|(_, price, _)| price), mood: 0.0 }
    }
}

impl Market {
    /// Advances by one tick. Each price moves randomly and follows the market's trend a little. It is also pulled back
    /// to its initial price, so that a demo that runs for weeks stays on its chart.
    fn move_on(&mut self, mut chance: impl FnMut() -> f64) {
        self.mood = self.mood * 0.98 + chance() * 0.2;
        for (price, (_, first, part)) in self.prices.iter_mut().zip(COMPANIES) {
            let news = if chance().abs() > 0.93 { 6.0 } else { 1.0 };
            let home = (first - *price) / first * 0.004;
            *price *= 1.0 + (chance() * news + self.mood * 0.5) * part + home;
            *price = price.clamp(first * 0.3, first * 3.0);
        }
    }

    fn to_json(&self) -> String {
        let prices = self.prices.iter().zip(COMPANIES).map(|(price, (symbol, ..))| format!("\"{symbol}\":{price:.2}"));
        format!("{{\"simulated\":true,{}}}", prices.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_move_and_stay_on_the_chart() {
        let mut market = Market::default();
        let before = market.to_json();
        for _ in 0..20_000 {
            market.move_on(chance);
        }
        assert_ne!(market.to_json(), before);
        for (price, (symbol, first, _)) in market.prices.iter().zip(COMPANIES) {
            assert!((first * 0.3..=first * 3.0).contains(price), "{symbol} {price}");
        }
        // Even the worst possible sequence must stay on the chart.
        for _ in 0..20_000 {
            market.move_on(|| -1.0);
        }
        assert!(market.prices.iter().zip(COMPANIES).all(|(price, (_, first, _))| *price >= first * 0.3));
    }

    #[test]
    fn it_says_what_it_is() {
        let prices: serde_json::Value = serde_json::from_str(&Market::default().to_json()).unwrap();
        assert_eq!(prices["simulated"], true);
        assert_eq!(prices["HANGANG"], 128.40);
    }
}
