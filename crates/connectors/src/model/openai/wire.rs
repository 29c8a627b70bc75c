//! Our request as OpenAI's.

use async_openai::types::chat::{
    ChatCompletionMessageToolCall, ChatCompletionMessageToolCalls, ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage, ChatCompletionRequestToolMessage,
    ChatCompletionRequestUserMessage, ChatCompletionStreamOptions, ChatCompletionTool, ChatCompletionTools,
    CreateChatCompletionRequest, FunctionCall, FunctionObject, ResponseFormat, ResponseFormatJsonSchema,
};
use callboard_core::agent::message::{Message, ModelRequest, Role, ToolCall};

/// Families that refuse `max_tokens`; compatible servers often know nothing else.
const NEW_LIMIT: [&str; 4] = ["o1", "o3", "o4", "gpt-5"];

pub(super) fn request(request: &ModelRequest, stream: bool) -> CreateChatCompletionRequest {
    let tools: Vec<_> = request
        .tools
        .iter()
        .map(|tool| {
            ChatCompletionTools::Function(ChatCompletionTool {
                function: FunctionObject {
                    name: tool.name.clone(),
                    description: Some(tool.description.clone()),
                    parameters: Some(tool.parameters.clone()),
                    strict: None,
                },
            })
        })
        .collect();
    let new_limit = NEW_LIMIT.iter().any(|family| request.model.starts_with(family));
    let format = request.output_schema.as_ref().map(|schema| ResponseFormat::JsonSchema {
        json_schema: ResponseFormatJsonSchema {
            description: None,
            name: "answer".to_owned(),
            schema: schema.clone(),
            strict: None,
        },
    });
    #[allow(deprecated, reason = "compatible servers know only `max_tokens`")]
    CreateChatCompletionRequest {
        model: request.model.clone(),
        messages: request.messages.iter().map(message).collect(),
        #[allow(clippy::cast_possible_truncation, reason = "a temperature has two digits")]
        temperature: request.temperature.map(|t| t as f32),
        max_tokens: request.max_tokens.filter(|_| !new_limit),
        max_completion_tokens: request.max_tokens.filter(|_| new_limit),
        response_format: format,
        tools: (!tools.is_empty()).then_some(tools),
        stream: stream.then_some(true),
        stream_options: stream
            .then_some(ChatCompletionStreamOptions { include_usage: Some(true), include_obfuscation: None }),
        ..CreateChatCompletionRequest::default()
    }
}

fn message(message: &Message) -> ChatCompletionRequestMessage {
    let content = message.content.clone();
    match message.role {
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
