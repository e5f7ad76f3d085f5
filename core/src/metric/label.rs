//! What a metric name and a label name may look like.
//!
//! The classic character sets of the Prometheus data model, asked wherever a name comes from
//! outside (text files, plugins, rules). It must not know where the name came from.

/// Whether `name` matches `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[must_use]
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, |byte| byte == b':')
}

/// Whether `name` matches `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    is_name(name, |_| false)
}

fn is_name(name: &str, extra: impl Fn(u8) -> bool) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && !bytes[0].is_ascii_digit()
        && bytes.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_' || extra(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_data_model() {
        assert!(is_metric_name("node:cpu_total") && is_metric_name("_x") && is_label_name("a9_"));
        for bad in ["", "9a", "a-b", "é", "a b"] {
            assert!(!is_metric_name(bad) && !is_label_name(bad), "{bad}");
        }
        assert!(!is_label_name("a:b"));
    }
}
