import { z } from 'zod';

/** The name of a phase in a recipe. */
export const phaseName = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'a name of a-z, 0-9 and -, at most 40 long');
