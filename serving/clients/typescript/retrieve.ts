// Call `retrieve` for one user: npm run --silent retrieve -- localhost:8500 films 42

import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { join } from "node:path";

interface Tensor {
  dtype: string;
  tensor_shape: { dim: { size: number }[] };
  string_val?: Buffer[];
  float_val?: number[];
}

interface PredictRequest {
  model_spec: { name: string; signature_name: string; version_label?: string };
  inputs: Record<string, Tensor>;
}

interface PredictResponse {
  outputs: Record<string, Tensor>;
}

interface Item {
  itemId: string;
  title: string;
  score: number;
}

type Predict = (
  request: PredictRequest,
  options: grpc.CallOptions,
  callback: (error: grpc.ServiceError | null, response: PredictResponse) => void,
) => void;

const PROTOS = join(__dirname, "..", "..", "protos");

function createClient(address: string): grpc.Client & { Predict: Predict } {
  const definition = loadSync("prediction_service.proto", { includeDirs: [PROTOS], keepCase: true, enums: String });
  const packages = grpc.loadPackageDefinition(definition) as any;
  return new packages.tensorflow.serving.PredictionService(address, grpc.credentials.createInsecure());
}

function stringTensor(shape: number[], values: string[]): Tensor {
  return {
    dtype: "DT_STRING",
    tensor_shape: { dim: shape.map((size) => ({ size })) },
    string_val: values.map((value) => Buffer.from(value)),
  };
}

// A row of ids after a leading "", which the model ignores: a server that batches pads with the first element.
function idRow(ids: string[]): Tensor {
  return stringTensor([1, ids.length + 1], ["", ...ids]);
}

function parseItems(outputs: Record<string, Tensor>): Item[] {
  const text = (name: string) => outputs[name].string_val!.map(String);
  const [ids, titles, scores] = [text("item_ids"), text("titles"), outputs.scores.float_val!];
  return ids
    .map((itemId, position) => ({ itemId, title: titles[position], score: scores[position] }))
    .filter((item) => item.itemId !== ""); // positions are empty if fewer items are left
}

function retrieve(client: { Predict: Predict }, model: string, user: string, history: string[] = []): Promise<Item[]> {
  const request = {
    model_spec: { name: model, signature_name: "retrieve" },
    inputs: { user_id: stringTensor([1], [user]), history: idRow(history), exclude_item_ids: idRow([]) },
  };
  return new Promise((resolve, reject) => {
    client.Predict(request, { deadline: Date.now() + 10_000 }, (error, response) =>
      error ? reject(error) : resolve(parseItems(response.outputs)),
    );
  });
}

async function main([address, model, user, ...history]: string[]): Promise<void> {
  if (!address || !model || user === undefined) {
    throw new Error("usage: retrieve HOST:PORT MODEL USER [ITEM ...]");
  }
  const client = createClient(address);
  try {
    for (const item of await retrieve(client, model, user, history)) {
      console.log([item.itemId, item.title, item.score].join("\t"));
    }
  } finally {
    client.close();
  }
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
