//! A command line as its words, quoted as in a shell (POSIX, Shell Command Language 2.2). No shell reads it: nothing is put in for
//! variables, patterns or commands.

/// The words; at least one, the first not empty. Or what is wrong with the text.
pub(super) fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let (quoted, after) = rest.as_str().split_once('\'').ok_or_else(unclosed)?;
                word.get_or_insert_default().push_str(quoted);
                rest = after.chars();
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or_else(unclosed)? {
                        '"' => break,
                        '\\' => match rest.next().ok_or_else(unclosed)? {
                            '\n' => {}
                            escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                            plain => word.extend(['\\', plain]),
                        },
                        plain => word.push(plain),
                    }
                }
            }
            '\\' => match rest.next() {
                Some('\n') => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
                None => return Err("a command must not end with a backslash".to_owned()),
            },
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err("expected a program and its arguments".to_owned()),
    }
}

fn unclosed() -> String {
    "a quote is not closed".to_owned()
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
