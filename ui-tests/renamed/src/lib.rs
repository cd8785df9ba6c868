//! The facade under another name: one line at the root is enough, `crate = ..` is the other way.

extern crate platform as micro;

use platform::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    #[subscribe]
    async fn on(&self, _event: Happened) {}
}

#[event("things.happened")]
struct Happened;

#[cfg(test)]
#[tokio::test]
async fn the_name_of_the_facade_does_not_matter() -> Result<()> {
    let app =
        platform::App::in_memory().service(Greeter).service(deep::Deep::new()).start().await?;
    assert_eq!(app.service::<GreeterClient>().add(1, 2).await?, 3);
    assert_eq!(app.service::<deep::DeepClient>().f(1).await?.n, 2);
    app.shutdown().await;
    Ok(())
}

/// No `micro` is in sight here.
mod deep {
    use ::platform as it;

    #[it::message(crate = ::platform)]
    pub struct N {
        pub n: u8,
    }

    #[it::event("deep.things", crate = ::platform)]
    pub struct Thing;

    #[it::fault(code = aborted, crate = ::platform)]
    pub struct Bad;

    #[it::interceptor(phase = quota, crate = ::platform)]
    async fn quota(call: it::Incoming, next: it::Next<'_>) -> it::Outcome {
        next.run(call).await
    }

    #[derive(it::Inject)]
    #[inject(crate = ::platform)]
    pub struct Deep {
        #[inject(value = 1)]
        n: u8,
    }

    impl Deep {
        #[allow(dead_code, reason = "a constructor of the user's own is not in the way")]
        pub fn new() -> Self {
            Self { n: 1 }
        }
    }

    #[it::service(crate = ::platform, intercept(quota))]
    impl Deep {
        #[it::handler]
        async fn f(&self, by: u8) -> Result<N, Bad> {
            Ok(N { n: self.n + by })
        }

        #[it::subscribe]
        async fn on(&self, _thing: Thing) {}
    }
}
