//! The prime sieve: a chain of filters that grows while it runs, from *A Concurrent Prime Sieve* of the Go
//! documentation. Other than there it ends: the last channel is closed, and closing travels up the chain.

use crate::crew::Crew;
use crate::kinds::{Kind, Line};

on_every_kind!(every_crew: sieve);

/// 2, 3, 4, and so on, as long as somebody listens.
async fn generate<K: Kind>(numbers: Line<K, u32>) {
    for number in 2.. {
        if let Err(back) = numbers.send(number).await {
            assert_eq!(back.0, number, "another value was given back");
            return;
        }
    }
}

/// Passes on what `prime` does not divide.
async fn filter<K: Kind>(prime: u32, input: Line<K, u32>, output: Line<K, u32>) {
    while let Ok(number) = input.recv().await {
        if number % prime == 0 {
            continue;
        }
        if let Err(back) = output.send(number).await {
            assert_eq!(back.0, number, "another value was given back");
            input.close();
        }
    }
}

fn sieve<K: Kind>(crew: Crew) {
    let primes =
        [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79];
    crew.run(async {
        let mut numbers = K::line::<u32>();
        crew.spawn(generate::<K>(numbers.clone()));
        for expected in primes {
            let prime = numbers.recv().await.expect("numbers do not end");
            assert_eq!(prime, expected);
            let filtered = K::line::<u32>();
            crew.spawn(filter::<K>(prime, numbers, filtered.clone()));
            numbers = filtered;
        }
        numbers.close();
    });
}
