/** The graphs of a detector, as names within its folder. */
export type ModelFiles = { readonly whole: string } | { readonly text: string; readonly image: string };

/** Beside the folder itself they may lie in onnx/, as many published exports have them. Null where they are not there. */
export function modelFiles(isThere: (name: string) => boolean): ModelFiles | null {
  for (const folder of ['', 'onnx/']) {
    const [text, image] = [`${folder}text_model.onnx`, `${folder}image_model.onnx`];
    if (isThere(text) && isThere(image)) return { text, image };
    if (isThere(`${folder}model.onnx`)) return { whole: `${folder}model.onnx` };
  }
  return null;
}

/** What of a folder belongs to a detector: its graphs, their weights where those lie apart, and its settings. */
export function isDetectorFile(name: string, files: ModelFiles): boolean {
  if (['preprocessor_config.json', 'tokenizer.json', 'tokenizer_config.json'].includes(name)) return true;
  return Object.values(files).some((file) => name === file || name === `${file}_data` || name === `${file}.data`);
}

/** Files without which a folder is no detector. */
export const neededFiles = ['preprocessor_config.json', 'tokenizer.json'] as const;
