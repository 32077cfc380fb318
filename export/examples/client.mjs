#!/usr/bin/env node
// REST from JavaScript, Node 18 or newer, without packages: client.mjs [HOST:PORT] [MODEL] [TEXT...]

const [server = "127.0.0.1:8501", model = "topics", ...given] = process.argv.slice(2);
const texts = given.length ? given : ["How do I set a timeout?", "Where are the docs?"];

async function predict(inputs, { retries = 5, seconds = 10 } = {}) {
  for (let attempt = 0; ; attempt++) {
    let response;
    try {
      response = await fetch(`http://${server}/v1/models/${model}:predict`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ inputs }),
        signal: AbortSignal.timeout(seconds * 1000),
      });
    } catch (error) {
      if (error.name === "TimeoutError" || attempt === retries) throw error;
    }
    // 503 is UNAVAILABLE: the server is starting, stopping or full. Everything else is an answer.
    if (response && (response.status !== 503 || attempt === retries)) {
      const answer = await response.json();
      if (!response.ok) throw new Error(`${response.status}: ${answer.error}`);
      return answer.outputs;
    }
    await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt * (0.5 + Math.random() / 2)));
  }
}

try {
  const { label, scores } = await predict({ text: texts });
  texts.forEach((text, row) => {
    console.log(`${Math.max(...scores[row]).toFixed(3)}  ${label[row]}  ${text}`);
  });
} catch (error) {
  console.error(`${server}: ${error.cause?.code ?? error.message}`);
  process.exitCode = 1;
}
