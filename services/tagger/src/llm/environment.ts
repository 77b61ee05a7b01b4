import Type from 'typebox'

/** Variables of the language model, for jobs with labeller `llm`. */
export const llmEnvironment = {
  LLM_ENDPOINT: Type.String({
    default: '',
    description:
      'Base address of an OpenAI-compatible API, e.g. http://127.0.0.1:11434/v1 (a host alone: its /v1); empty: jobs get keyphrases',
  }),
  LLM_LOCAL_MODEL: Type.String({
    default: '',
    description:
      'Instead of LLM_ENDPOINT, a model in process: a folder in the layout of transformers.js (onnx/model*.onnx), or a hub name',
  }),
  LLM_LOCAL_MODEL_FILE: Type.String({
    default: '',
    description: 'ONNX file of that model, where not the first of the usual ones, e.g. model_q4.onnx',
  }),
  LLM_MODEL: Type.String({ default: '', description: 'Model to ask there' }),
  LLM_API_KEY: Type.String({ default: '', description: 'Key sent as bearer token' }),
  LLM_TIMEOUT_MS: Type.Integer({
    default: 30_000,
    minimum: 10,
    maximum: 600_000,
    description: 'Most time of one call',
  }),
  LLM_MAX_ATTEMPTS: Type.Integer({
    default: 3,
    minimum: 1,
    maximum: 10,
    description: 'Calls for one cluster, at most, beside those that tell which parameters a server takes',
  }),
  LLM_MAX_ANSWER_TOKENS: Type.Integer({
    default: 400,
    minimum: 16,
    maximum: 32_000,
    description: 'Longest answer; a model that thinks before it answers needs some 4000',
  }),
  LLM_BACKOFF_MS: Type.Integer({
    default: 500,
    minimum: 1,
    maximum: 60_000,
    description: 'Wait before the second call of a cluster; doubles, with jitter',
  }),
  LLM_MAX_RETRY_AFTER_MS: Type.Integer({
    default: 60_000,
    minimum: 0,
    maximum: 600_000,
    description:
      "A server's Retry-After is honoured up to this; one that asks for more is not called again for the cluster",
  }),
  LLM_REPLIES_RETENTION_DAYS: Type.Integer({
    default: 90,
    minimum: 1,
    maximum: 36_500,
    description: 'Replies that nobody asked for again for so long are forgotten, and paid for again',
  }),
  LLM_PRICES: Type.String({
    default: '{}',
    description:
      'USD for a million tokens by model, as JSON: {"gpt-x":{"in":0.15,"out":0.6}}; a model without price costs 0',
  }),
}
