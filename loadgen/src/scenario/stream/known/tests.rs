//! The dialects, event by event.

use super::*;

fn content(data: &str, want: bool) {
    assert_eq!(read(data).map(|k| k.is_content), Some(want), "{data}");
}

#[test]
fn content_of_every_dialect() {
    content(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, false);
    content(r#"{"choices":[{"delta":{"content":"Hi"}}]}"#, true);
    content(r#"{"choices":[{"delta":{"content":[{"type":"text","text":"Hi"}]}}]}"#, true);
    content(r#"{"choices":[{"index":0,"delta":{}},{"index":1,"delta":{"content":"Hi"}}]}"#, true);
    content(r#"{"choices":[{"delta":{"reasoning_content":"So"}}]}"#, true);
    content(
        r#"{"choices":[{"delta":{"content":null,"tool_calls":[{"function":{"name":"look","arguments":""}}]}}]}"#,
        true,
    );
    content(
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"q\""}}]}}]}"#,
        true,
    );
    content(r#"{"choices":[{"delta":{"refusal":"No"}}]}"#, true);
    content(r#"{"choices":[{"text":"Hi"}]}"#, true);
    content(r#"{"choices":[],"usage":{"completion_tokens":5}}"#, false);
    // Azure's first frame.
    content(r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#, false);
    content(r#"{"type":"response.output_text.delta","delta":"Hi"}"#, true);
    content(r#"{"type":"response.function_call_arguments.delta","delta":"{"}"#, true);
    content(r#"{"type":"response.output_text.done","text":"Hi"}"#, false);
    content(
        r#"{"type":"message_start","message":{"role":"assistant","content":[],"usage":{"output_tokens":1}}}"#,
        false,
    );
    content(r#"{"type":"content_block_start","content_block":{"type":"text","text":""}}"#, false);
    content(r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hi"}}"#, true);
    content(r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{"}}"#, true);
    content(
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#,
        false,
    );
    content(r#"{"type":"ping"}"#, false);
    content(r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#, true);
    content(r#"{"message":{"role":"assistant","content":"Hi"},"done":false}"#, true);
    content(r#"{"response":"Hi","done":false}"#, true);
    content(r#"{"response":"","done":true}"#, false);
    content(r#"{"index":1,"token":{"id":5,"text":" Hi","special":false},"generated_text":null}"#, true);
    content(r#"{"token":{"id":2,"text":"</s>","special":true},"generated_text":"Hi"}"#, false);
    content(r#"{"content":" Hi","stop":false}"#, true);
    content(r#"{"token":"a"}"#, true);
    content(r#"{"sources":[{"text":"a document"}]}"#, false);
    content(r#"{"prompt_progress":{"total":9}}"#, false);
    content(r#"{"token":"","token":"a"}"#, true);
    assert_eq!(read("42"), None);
    assert_eq!(read("[1]"), None);
}

#[test]
fn tokens_of_every_dialect() {
    let check = |data: &str, want: (Option<u64>, Option<u64>)| {
        let known = read(data).expect(data);
        assert_eq!((known.tokens.input, known.tokens.output), want, "{data}");
    };
    check(r#"{"usage":{"prompt_tokens":7,"completion_tokens":9}}"#, (Some(7), Some(9)));
    check(r#"{"usage":{"input_tokens":7,"output_tokens":9}}"#, (Some(7), Some(9)));
    check(r#"{"usage":null}"#, (None, None));
    check(
        r#"{"type":"message_start","message":{"usage":{"input_tokens":2,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
        (Some(7), Some(1)),
    );
    check(
        r#"{"type":"response.completed","response":{"usage":{"input_tokens":7,"output_tokens":9}}}"#,
        (Some(7), Some(9)),
    );
    check(
        r#"{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":4,"thoughtsTokenCount":5}}"#,
        (Some(7), Some(9)),
    );
    check(r#"{"done":true,"prompt_eval_count":7,"eval_count":9}"#, (Some(7), Some(9)));
    check(r#"{"generated_text":"x","details":{"input_length":7,"generated_tokens":9}}"#, (Some(7), Some(9)));
    check(r#"{"stop":true,"tokens_evaluated":7,"tokens_predicted":9}"#, (Some(7), Some(9)));
    check(r#"{"usage":{"completion_tokens":"5","prompt_tokens":6.0}}"#, (None, None));
}

#[test]
fn cached_and_reasoning_tokens_are_apart() {
    let check = |data: &str, cached: Option<u64>, reasoning: Option<u64>| {
        let tokens = read(data).expect(data).tokens;
        assert_eq!((tokens.cached, tokens.reasoning), (cached, reasoning), "{data}");
    };
    check(r#"{"usage":{"prompt_tokens":9,"completion_tokens":5}}"#, None, None);
    check(
        r#"{"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":6},"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":3}}}"#,
        Some(6),
        Some(3),
    );
    check(
        r#"{"type":"response.completed","response":{"usage":{"input_tokens":7,"input_tokens_details":{"cached_tokens":2},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":8}}}}"#,
        Some(2),
        Some(8),
    );
    check(
        r#"{"type":"message_start","message":{"usage":{"input_tokens":2,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
        Some(5),
        None,
    );
    check(
        r#"{"usageMetadata":{"promptTokenCount":7,"cachedContentTokenCount":4,"candidatesTokenCount":4,"thoughtsTokenCount":5}}"#,
        Some(4),
        Some(5),
    );
}

#[test]
fn reasoning_is_told_from_what_is_said() {
    let check = |data: &str, want: bool| {
        assert_eq!(read(data).map(|k| k.is_content && k.is_reasoning), Some(want), "{data}");
    };
    check(r#"{"choices":[{"delta":{"reasoning_content":"So"}}]}"#, true);
    check(r#"{"choices":[{"delta":{"reasoning":"So","content":null}}]}"#, true);
    check(r#"{"choices":[{"delta":{"reasoning":"So","content":"Hi"}}]}"#, false);
    check(r#"{"choices":[{"delta":{"content":"Hi"}}]}"#, false);
    check(r#"{"choices":[{"text":"Hi"}]}"#, false);
    check(r#"{"type":"response.reasoning_text.delta","delta":"So"}"#, true);
    check(r#"{"type":"response.output_text.delta","delta":"Hi"}"#, false);
    check(r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"So"}}"#, true);
    check(r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hi"}}"#, false);
    check(r#"{"candidates":[{"content":{"parts":[{"text":"So","thought":true}]}}]}"#, true);
    check(r#"{"candidates":[{"content":{"parts":[{"text":"So","thought":true},{"text":"Hi"}]}}]}"#, false);
    check(r#"{"message":{"content":"","thinking":"So"},"done":false}"#, true);
    check(r#"{"thinking":"So","response":"","done":false}"#, true);
    check(r#"{"response":"Hi","done":false}"#, false);
}

#[test]
fn errors_and_ends_of_every_dialect() {
    let flags = |data: &str| read(data).map(|k| (k.is_error, k.is_end)).expect(data);
    assert_eq!(flags(r#"{"error":{"message":"…","code":500}}"#), (true, false));
    assert_eq!(flags(r#"{"error":"overloaded","error_type":"overloaded"}"#), (true, false));
    assert_eq!(flags(r#"{"type":"error","code":"server_error"}"#), (true, false));
    assert_eq!(flags(r#"{"type":"response.failed","response":{"error":{"code":"x"}}}"#), (true, true));
    assert_eq!(flags(r#"{"error":null,"token":"a"}"#), (false, false));
    assert_eq!(flags(r#"{"type":"message_stop"}"#), (false, true));
    assert_eq!(flags(r#"{"done":true}"#), (false, true));
    assert_eq!(flags(r#"{"generated_text":"x"}"#), (false, true));
}
