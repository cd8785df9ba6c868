//! Which queues a topic goes to: a tree of the patterns' tokens, so that a publish looks at the tokens
//! of its topic and not at every pattern.

use std::collections::HashMap;

use crate::topic::{Pattern, Topic};

/// Patterns and what they stand for.
#[derive(Debug)]
pub(super) struct Topics<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    /// By token; `*` is one of them, since no topic has it.
    children: HashMap<Box<str>, Node<T>>,
    /// Patterns that end here.
    here: Vec<T>,
    /// Patterns that end here with `>`.
    below: Vec<T>,
}

impl<T: Copy + PartialEq> Topics<T> {
    pub(super) fn new() -> Self {
        Self { root: Node::new() }
    }

    pub(super) fn insert(&mut self, pattern: &Pattern, value: T) {
        let mut node = &mut self.root;
        for token in pattern.as_str().split('.') {
            if token == ">" {
                return node.below.push(value);
            }
            node = node.children.entry(token.into()).or_insert_with(Node::new);
        }
        node.here.push(value);
    }

    pub(super) fn remove(&mut self, pattern: &Pattern, value: T) {
        let tokens: Vec<&str> = pattern.as_str().split('.').collect();
        self.root.remove(&tokens, value);
    }

    /// What the patterns that match stand for, in no particular order.
    pub(super) fn find(&self, topic: &Topic) -> Vec<T> {
        let mut found = Vec::new();
        self.root.find(topic.as_str(), &mut found);
        found
    }
}

impl<T: Copy + PartialEq> Node<T> {
    fn new() -> Self {
        Self { children: HashMap::new(), here: Vec::new(), below: Vec::new() }
    }

    /// As deep as a topic has tokens, of which there are at most 17.
    fn find(&self, rest: &str, found: &mut Vec<T>) {
        found.extend_from_slice(&self.below);
        let (token, rest) = match rest.split_once('.') {
            Some((token, rest)) => (token, Some(rest)),
            None => (rest, None),
        };
        for child in [self.children.get(token), self.children.get("*")].into_iter().flatten() {
            match rest {
                Some(rest) => child.find(rest, found),
                None => found.extend_from_slice(&child.here),
            }
        }
    }

    fn remove(&mut self, tokens: &[&str], value: T) {
        match tokens {
            [] => self.here.retain(|v| *v != value),
            [">"] => self.below.retain(|v| *v != value),
            [token, rest @ ..] => {
                let Some(child) = self.children.get_mut(*token) else {
                    return;
                };
                child.remove(rest, value);
                if child.is_empty() {
                    self.children.remove(*token);
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.here.is_empty() && self.below.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_agrees_with_the_patterns() {
        let patterns: Vec<Pattern> = ["a", "a.b", "a.*", "*.b", "*.*", "a.>", ">", "*.>", "a.b.c"]
            .into_iter()
            .map(|text| Pattern::parse(text).expect("pattern"))
            .collect();
        let mut topics = Topics::new();
        for (i, pattern) in patterns.iter().enumerate() {
            topics.insert(pattern, i);
        }
        let check = |topics: &Topics<usize>, gone: usize| {
            for text in ["a", "b", "a.b", "a.c", "c.b", "a.b.c", "a.b.c.d", "x.y.z"] {
                let topic = Topic::parse(text).expect("topic");
                let mut found = topics.find(&topic);
                found.sort_unstable();
                let expected: Vec<usize> =
                    (gone..patterns.len()).filter(|i| patterns[*i].matches(&topic)).collect();
                assert_eq!(found, expected, "{text}");
            }
        };
        check(&topics, 0);
        for (i, pattern) in patterns.iter().enumerate() {
            topics.remove(pattern, i);
            check(&topics, i + 1);
        }
        assert!(topics.root.is_empty(), "nothing stays behind");
    }
}
