//! Ping-pong: two sides, one ball.

use crate::crew::Crew;
use crate::kinds::Kind;

on_every_kind!(every_crew: ping_pong);
on_kinds!(every_crew ping_pong_latest: conflated on Conflated);

fn ping_pong<K: Kind>(crew: Crew) {
    const ROUNDS: u32 = 300;
    let (ping, pong) = (K::line::<u32>(), K::line::<u32>());
    let other = (ping.clone(), pong.clone());
    crew.spawn(async move {
        let (ping, pong) = other;
        while let Ok(ball) = ping.recv().await {
            assert!(pong.send(ball + 1).await.is_ok());
        }
        pong.close();
    });
    crew.run(async {
        for round in 0..ROUNDS {
            assert!(ping.send(round).await.is_ok());
            assert_eq!(pong.recv().await, Ok(round + 1));
        }
        ping.close();
        assert!(pong.recv().await.is_err(), "more came back than was sent");
    });
    for line in [&ping, &pong] {
        let all = line.snapshot();
        assert_eq!((all.sent, all.received, all.depth, all.dropped), (ROUNDS, ROUNDS, 0, 0));
    }
}

/// There is one ball only, so a channel that keeps the latest value keeps every one.
fn ping_pong_latest<K: Kind>(crew: Crew) {
    ping_pong::<K>(crew);
}
