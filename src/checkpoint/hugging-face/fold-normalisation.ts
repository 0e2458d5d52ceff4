import type { ModelConfig } from '../../model/sizes.ts';
import type { TensorToWrite } from '../../safetensors/safetensors.ts';
import type { ImageProcessing } from './read-processor.ts';

const embedding = 'vision_model.embeddings.patch_embedding';

/** Whether bytes become what they become in training, x / 127.5 - 1. */
export function isOwnNormalisation({ factor, mean, std }: ImageProcessing): boolean {
  const near = (a: number, b: number) => Math.abs(a - b) < 1e-6;
  return near(factor * 255, 1) && [...mean, ...std].every((value) => near(value, 0.5));
}

/**
 * The tensors of a model for pixels x / 127.5 - 1 that gives what this one gives for (byte factor - mean) / std: both
 * are linear in the byte, and so is the patch embedding, which takes the difference in. Of NaFlex padding, which differs
 * then, nothing is looked at.
 */
export function foldNormalisation(
  { tensors, config }: { readonly tensors: readonly TensorToWrite[]; readonly config: ModelConfig },
  processing: ImageProcessing,
): TensorToWrite[] {
  if (isOwnNormalisation(processing)) return [...tensors];
  const { factor, mean, std } = processing;
  const scale = std.map((one) => (127.5 * factor) / one);
  const shift = std.map((one, channel) => (127.5 * factor - mean[channel]!) / one);
  const area = config.vision.patch ** 2;
  const channelOf = (place: number) => (config.vision.kind === 'naflex' ? place % 3 : Math.floor(place / area) % 3);
  const weight = tensors.find(({ name }) => name === `${embedding}.weight`)!;
  return tensors.map((tensor): TensorToWrite => {
    if (tensor.name === `${embedding}.weight`)
      return {
        ...tensor,
        data: async function* () {
          const values = await floatsOf(tensor);
          yield bytesOf(values.map((value, place) => value * scale[channelOf(place)]!));
        },
      };
    if (tensor.name === `${embedding}.bias`)
      return {
        ...tensor,
        data: async function* () {
          const [values, weights] = [Float64Array.from(await floatsOf(tensor)), await floatsOf(weight)];
          const each = 3 * area;
          for (const [place, value] of weights.entries())
            values[Math.floor(place / each)]! += value * shift[channelOf(place)]!;
          yield bytesOf(Float32Array.from(values));
        },
      };
    return tensor;
  });
}

const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

async function floatsOf({ data }: TensorToWrite): Promise<Float32Array> {
  const chunks: Uint8Array[] = [];
  if (data instanceof Uint8Array) chunks.push(data);
  else for await (const chunk of data()) chunks.push(chunk);
  const bytes = Uint8Array.from(Buffer.concat(chunks));
  return new Float32Array(bytes.buffer);
}
