//! Our request as OpenAI's, in the dialect of whoever answers it.

use super::{
    super::abilities::{Dialect, Instructions, Structured, TokenLimit},
    extras,
};
use async_openai::types::chat::{
    ChatCompletionMessageToolCall, ChatCompletionMessageToolCalls, ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestDeveloperMessage, ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage,
    ChatCompletionRequestToolMessage, ChatCompletionRequestUserMessage, ChatCompletionStreamOptions,
    ChatCompletionTool, ChatCompletionTools, CreateChatCompletionRequest, FunctionCall, FunctionObject,
    ResponseFormat, ResponseFormatJsonSchema,
};
use callboard_core::agent::message::{Message, ModelRequest, Role, ToolCall, ToolSpec};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeSet};

/// A request, and what in it an endpoint may not know.
pub(super) struct Sent {
    pub body: Value,
    /// It has a `response_format`.
    pub format: bool,
    pub tools: bool,
    pub limit: bool,
    /// By which name the limit was sent at first.
    pub first_limit: TokenLimit,
    pub temperature: bool,
    pub stream: bool,
    pub instructions: bool,
    /// Fields that go back.
    pub extras: BTreeSet<String>,
}

pub(super) fn request(
    request: &ModelRequest,
    dialect: &Dialect,
    stream: bool,
    first_limit: TokenLimit,
) -> serde_json::Result<Sent> {
    let tools: Vec<_> = request.tools.iter().map(tool).collect();
    let structured = dialect.structured(request);
    let format = structured.zip(request.output_schema.as_ref()).and_then(format);
    let asked = asked(request, structured, dialect.instructions);
    let has_tools = !tools.is_empty();
    let temperature = request.temperature.filter(|_| dialect.temperature);
    let limit = |name| request.max_tokens.filter(|_| dialect.token_limit == name);
    let has_format = format.is_some();
    #[allow(deprecated, reason = "compatible servers know only `max_tokens`")]
    let typed = CreateChatCompletionRequest {
        model: request.model.clone(),
        messages: asked.iter().map(|m| message(m, dialect.instructions)).collect(),
        max_tokens: limit(TokenLimit::MaxTokens),
        max_completion_tokens: limit(TokenLimit::MaxCompletionTokens),
        response_format: format,
        parallel_tool_calls: dialect.parallel_tool_calls.filter(|_| has_tools),
        tools: has_tools.then_some(tools),
        stream: stream.then_some(true),
        stream_options: (stream && dialect.stream_usage)
            .then_some(ChatCompletionStreamOptions { include_usage: Some(true), include_obfuscation: None }),
        ..CreateChatCompletionRequest::default()
    };
    let mut body = serde_json::to_value(typed)?;
    if let Some(temperature) = temperature {
        // Its type is too narrow to give back 0.7.
        body["temperature"] = temperature.into();
    }
    let sent_back = send_back(&mut body, &asked, dialect);
    Ok(Sent {
        body,
        format: has_format,
        tools: has_tools,
        limit: request.max_tokens.is_some() && dialect.token_limit != TokenLimit::None,
        first_limit,
        temperature: temperature.is_some(),
        stream,
        instructions: asked.iter().any(|message| message.role == Role::System),
        extras: sent_back,
    })
}

fn tool(tool: &ToolSpec) -> ChatCompletionTools {
    ChatCompletionTools::Function(ChatCompletionTool {
        function: FunctionObject {
            name: tool.name.clone(),
            description: Some(tool.description.clone()),
            parameters: Some(tool.parameters.clone()),
            strict: None,
        },
    })
}

/// Returns what holds an answer to its schema, unless the prompt does.
fn format((structured, schema): (Structured, &Value)) -> Option<ResponseFormat> {
    match structured {
        Structured::JsonSchema => Some(ResponseFormat::JsonSchema {
            json_schema: ResponseFormatJsonSchema {
                description: None,
                name: "answer".to_owned(),
                schema: schema.clone(),
                strict: None,
            },
        }),
        Structured::JsonObject => Some(ResponseFormat::JsonObject),
        Structured::Prompt => None,
    }
}

/// Returns the conversation with the schema in its instructions, where it is nowhere else, and the instructions where they
/// may stand.
fn asked(
    request: &ModelRequest,
    structured: Option<Structured>,
    instructions: Instructions,
) -> Cow<'_, [Message]> {
    let mut messages = Cow::Borrowed(request.messages.as_slice());
    let in_prompt = matches!(structured, Some(Structured::JsonObject | Structured::Prompt));
    if let Some(schema) = request.output_schema.as_ref().filter(|_| in_prompt) {
        let text = format!(
            "Your final answer is JSON and nothing else: no words before or after it, no fence. It fits this JSON Schema:\n{schema}"
        );
        match messages.to_mut().first_mut().filter(|first| first.role == Role::System) {
            Some(system) => system.content = format!("{}\n\n{text}", system.content),
            None => messages.to_mut().insert(0, Message::new(Role::System, text)),
        }
    }
    if instructions == Instructions::User && messages.first().is_some_and(|first| first.role == Role::System)
    {
        let system = messages.to_mut().remove(0);
        match messages.to_mut().first_mut().filter(|first| first.role == Role::User) {
            Some(question) => question.content = format!("{}\n\n{}", system.content, question.content),
            None => messages.to_mut().insert(0, Message { role: Role::User, ..system }),
        }
    }
    messages
}

fn message(message: &Message, instructions: Instructions) -> ChatCompletionRequestMessage {
    let content = message.content.clone();
    match message.role {
        Role::System if instructions == Instructions::Developer => {
            ChatCompletionRequestDeveloperMessage { content: content.into(), name: None }.into()
        }
        Role::System => ChatCompletionRequestSystemMessage::from(content).into(),
        Role::User => ChatCompletionRequestUserMessage::from(content).into(),
        Role::Tool => ChatCompletionRequestToolMessage {
            content: content.into(),
            tool_call_id: message.tool_call_id.clone().unwrap_or_default(),
        }
        .into(),
        Role::Assistant => {
            let calls: Vec<_> = message.tool_calls.iter().map(call).collect();
            ChatCompletionRequestAssistantMessage {
                // With calls the text is optional, and some servers refuse an empty one.
                content: (calls.is_empty() || !content.is_empty()).then(|| content.into()),
                tool_calls: (!calls.is_empty()).then_some(calls),
                ..ChatCompletionRequestAssistantMessage::default()
            }
            .into()
        }
    }
}

fn call(call: &ToolCall) -> ChatCompletionMessageToolCalls {
    ChatCompletionMessageToolCalls::Function(ChatCompletionMessageToolCall {
        id: call.id.clone(),
        function: FunctionCall { name: call.name.clone(), arguments: call.arguments.clone() },
    })
}

/// Puts back what the provider said besides; returns the names of the fields.
fn send_back(body: &mut Value, asked: &[Message], dialect: &Dialect) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if !dialect.send_back {
        return names;
    }
    let mut kept = |fields: &serde_json::Map<String, Value>| {
        let mut fields = fields.clone();
        fields.retain(|name, _| !dialect.dropped.contains(name));
        names.extend(fields.keys().filter(|name| *name != "content" && *name != "function").cloned());
        fields
    };
    for (at, message) in asked.iter().enumerate() {
        let Some(extras) = &message.extras else { continue };
        extras::put(&mut body["messages"][at], &kept(&extras.message));
        for (n, fields) in extras.calls.iter().enumerate().take(message.tool_calls.len()) {
            extras::put(&mut body["messages"][at]["tool_calls"][n], &kept(fields));
        }
    }
    names
}
