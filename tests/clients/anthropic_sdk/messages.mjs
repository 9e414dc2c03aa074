// What a user does with Anthropic's client for JavaScript.

import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";

import { check, tell } from "../telling.mjs";

const tool = {
  name: "get_weather",
  description: "The weather of a city.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const client = ({ url, key }) => new Anthropic({ baseURL: url, authToken: key, apiKey: null, maxRetries: 0 });
const body = ({ model, nonce }, more) => ({
  model,
  max_tokens: 4000,
  messages: [{ role: "user", content: nonce }],
  ...more,
});
const textOf = (answer) => answer.content.map((block) => (block.type === "text" ? block.text : "")).join("");

async function plain(place) {
  const answer = await client(place).messages.create(body(place));
  check(answer.model === place.model, answer.model);
  check(answer.usage.input_tokens > 0, "tokens of the question");
  return textOf(answer);
}

async function stream(place) {
  const events = client(place).messages.stream(body(place));
  const pieces = [];
  events.on("text", (piece) => pieces.push(piece));
  const final = await events.finalMessage();
  check(pieces.length > 1, "several pieces");
  check(final.usage.output_tokens > 0 && final.stop_reason === "end_turn", "an end with usage");
  return pieces.join("");
}

async function loop(place, messages) {
  for (;;) {
    const more = { messages, tools: [tool], thinking: { type: "enabled", budget_tokens: 2000 } };
    const answer = await client(place).messages.stream(body(place, more)).finalMessage();
    messages.push({ role: "assistant", content: answer.content });
    const calls = answer.content.filter((block) => block.type === "tool_use");
    if (!calls.length) return textOf(answer);
    const results = calls.map(({ id, input }) => ({
      type: "tool_result",
      tool_use_id: id,
      content: `Rain in ${input.city}`,
    }));
    messages.push({ role: "user", content: results });
  }
}

async function tools(place) {
  const messages = [{ role: "user", content: `Compare Oslo and Bergen. ${place.nonce}` }];
  const first = await loop(place, messages);
  messages.push({ role: "user", content: "And where should I go?" });
  return [first, await loop(place, messages)];
}

async function parse(place) {
  const format = zodOutputFormat(z.object({ city: z.string(), degrees: z.number() }));
  const answer = await client(place).messages.parse(body(place, { output_config: { format } }));
  return answer.parsed_output;
}

async function search(place) {
  const tools = [{ type: "web_search_20250305", name: "web_search", max_uses: 3 }];
  const answer = await client(place).messages.stream(body(place, { tools })).finalMessage();
  const [found] = answer.content.filter((block) => block.type === "web_search_tool_result");
  return found.content.map((page) => page.url);
}

async function error(place) {
  try {
    await client(place).messages.create(body(place, { model: "no/such-model" }));
  } catch (error) {
    return [error.constructor.name, error.status, error.message.includes("no/such-model")];
  }
}

async function count({ url, key, model, nonce }) {
  const messages = [{ role: "user", content: nonce }];
  return (await client({ url, key }).messages.countTokens({ model, messages })).input_tokens > 0;
}

async function models(place) {
  const ids = [];
  for await (const model of client(place).models.list({ limit: 1000 })) ids.push(model.id);
  return ids.includes(place.model);
}

await tell({ "anthropic-javascript": { plain, stream, tools, parse, search, error, count, models } });
