import { type Command, Option } from 'commander';
import type { FloatKind } from '../onnx/graph.ts';
import type { Part } from '../onnx/models.ts';
import { size } from '../runtime/size-text.ts';
import { codeVersion } from '../runtime/version.ts';
import { withModels } from './model-source.ts';
import { print } from './output.ts';

/** What float16 costs is told of, and by how many of what. */
const compared = {
  image: { what: 'image tower', by: 'images' },
  text: { what: 'text tower', by: 'texts' },
  decoder: { what: 'decoder', by: 'places' },
} as const;

/** Models for ONNX Runtime and transformers.js. */
export function addOnnxCommand(program: Command): void {
  program
    .command('export-onnx <model> <folder>')
    .description(
      'write a model folder, RUN, RUN/PHASE or RUN/PHASE@STEP as ONNX, as transformers.js and optimum load it',
    )
    .addOption(
      new Option(
        '--part <parts...>',
        'what to write: model.onnx, vision_model.onnx, text_model.onnx, decoder_model.onnx',
      )
        .choices(['both', 'image', 'text', 'decoder'])
        .default(['both', 'image', 'text']),
    )
    .addOption(
      new Option('--dtype <types...>', 'number types; f16 says what it costs').choices(['f32', 'f16']).default(['f32']),
    )
    .option('--opset <version>', 'version of the operators', '20')
    .addHelpText('after', '\nThe folder must not be there. src/onnx/README.md has the inputs, and how to use it.')
    .action(async (model: string, out: string, options: { part: Part[]; dtype: FloatKind[]; opset: string }) => {
      const { exportOnnx, requireWritable } = await import('../onnx/export-folder.ts');
      await requireWritable(out, Number(options.opset));
      const write = ([folder]: readonly string[], scratch: string) =>
        exportOnnx(folder!, out, {
          ...{ parts: [...new Set(options.part)], dtypes: [...new Set(options.dtype)] },
          ...{ opset: Number(options.opset), scratch, producer: codeVersion() },
          onCost: (tower, { cosine, inputs }) =>
            print(
              `float16, ${compared[tower].what}: the cosine to float32 is at most ${Math.max(0, 1 - cosine).toExponential(1)} below 1, of ${inputs} ${compared[tower].by}\n`,
            ),
          onWritten: ({ file, bytes, data }) =>
            print(`onnx/${file}, ${size(bytes)}${data.length > 0 ? `, weights in ${data.join(', ')}` : ''}\n`),
        });
      // A decoder lies among the training state.
      await withModels([model], write, { training: options.part.includes('decoder') });
      print(`${out} holds the model as ONNX\n`);
    });
}
