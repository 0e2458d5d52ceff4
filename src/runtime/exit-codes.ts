/** What commands end with; `infra/README.md` lists them. */
export const exitCodes = {
  done: { code: 0, meaning: 'It is done.' },
  failed: {
    code: 1,
    meaning: 'It could not be done. One sentence on stderr says what is wrong, what is allowed and what to type.',
  },
  notWhole: {
    code: 3,
    meaning:
      '`siglip2 plan`: the recipe is right as far as it could be looked at; the first lines say what could not be.',
  },
  interrupted: { code: 130, meaning: '`npm run bench` was stopped by Ctrl-C or a signal.' },
} as const;
