import { nodeBackend } from '../../runtime/tensorflow.ts';
import type { EmbedJob } from './job.ts';
import type { PartFacts } from './part-file.ts';

/** What a part is made by here and now, for its facts. */
export const madeBy = ({ codeVersion }: Pick<EmbedJob, 'codeVersion'>): NonNullable<PartFacts['made']> => ({
  device: nodeBackend().isUsingGpuDevice ? 'gpu' : 'cpu',
  code: codeVersion,
});
