import type { TeacherScores } from '../../recipe/batch-plan.ts';
import { RunnerError } from '../../runtime/errors.ts';
import type { BatchPart } from './batch-part.ts';

/** What the teacher made of the image and of the text that was chosen: (width) float32 each, normalised. */
export const teacherScoresPart: BatchPart<TeacherScores> = {
  arrays: ({ width }) => ({
    teacherImages: { dtype: 'float32', size: width },
    teacherTexts: { dtype: 'float32', size: width },
  }),
  async fill({ ref, language, plain, scores }, { width }, _, { teacherImages, teacherTexts }) {
    if (scores?.width !== width) {
      const there = scores ? `those of width ${scores.width}` : 'none';
      throw new RunnerError('DataContract', `stored scores of width ${width} are wanted, and ${there} are there`);
    }
    if (!plain)
      throw new RunnerError(
        'RecipeInvalid',
        'the teacher has scored first captions alone: set data.labelShare to 1, or score online',
      );
    await scores.image(ref, teacherImages as Float32Array);
    await scores.text(ref, language, teacherTexts as Float32Array);
  },
};
