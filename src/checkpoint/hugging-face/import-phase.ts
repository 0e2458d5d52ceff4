/** The phase under which an imported model lies in its run. */
export const importPhase = 'import';
