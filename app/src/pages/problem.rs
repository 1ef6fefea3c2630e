//! The page that shows an HTTP error to a person.

use crate::{components::surroundings, page::Problem};
use leptos::prelude::*;

/// Shows the title, the explanation and the status of an error.
#[component]
pub fn ProblemPage(problem: Problem) -> impl IntoView {
    let words = surroundings().words;
    view! {
        <main id="main" class="problem" tabindex="-1">
            <svg class="broken-line" viewBox="0 0 160 12" width="160" height="12" aria-hidden="true">
                <path d="M2 6H70M90 6H140" />
                <path class="cross" d="M75 1l10 10M85 1 75 11" />
            </svg>
            <h1>{words.problem_title(problem.status)}</h1>
            <p>{problem.message}</p>
            <p class="hint">{problem.status}</p>
            <a class="button primary" href="/">
                {words.to_channels()}
            </a>
        </main>
    }
    .into_any()
}
