type Figures = Readonly<Record<string, number>>;

/** How a phase stands, beside its loss, in lines for a person. */
export function formatFigures(objectives: Figures, figures: Figures): string[] {
  return [optimiserLine(figures), captioningLine(objectives), ...teacherLines(figures), drawnLine(objectives, figures)]
    .concat(normsLine(figures))
    .flatMap((line) => (line === null ? [] : [line]));
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const brief = (value: number) => String(Number(value.toPrecision(3)));

function optimiserLine({ learningRate, gradientNorm, clippedShare, temperature, logitBias }: Figures): string | null {
  if (learningRate === undefined || gradientNorm === undefined) return null;
  const clipped = clippedShare === undefined ? '' : `, clipped in ${percent(clippedShare)} of steps`;
  const head = temperature === undefined ? '' : `, temperature ${brief(temperature)}, bias ${brief(logitBias ?? 0)}`;
  return `learning rate ${brief(learningRate)}, gradient norm ${brief(gradientNorm)}${clipped}${head}`;
}

/** The three losses that are added up in that of captioning. */
function captioningLine(objectives: Figures): string | null {
  const tasks = ['captioning', 'referring', 'grounded'].flatMap((task) => {
    const loss = objectives[`captioning/${task}`];
    return loss === undefined ? [] : [`${task} ${loss.toFixed(3)}`];
  });
  return tasks.length === 0 ? null : `decoder: ${tasks.join(', ')}`;
}

function teacherLines(figures: Figures): string[] {
  return Object.entries(figures).flatMap(([key, information]) => {
    const objective = /^(\w+)\/teacherInformation$/.exec(key)?.[1];
    if (objective === undefined) return [];
    const [each, mean] = [figures[`${objective}/teacherEntropy`], figures[`${objective}/teacherMeanEntropy`]];
    return [
      `teacher of ${objective}: information ${information.toFixed(3)} nats, entropy ${each?.toFixed(3)}, of the mean ${mean?.toFixed(3)}`,
    ];
  });
}

/** How many names of sources and of languages a line has room for. */
const mostNamed = 6;

interface Share {
  readonly name: string;
  readonly share: number;
  /** How often the examples of a source of a mixture were drawn. */
  readonly epoch?: number;
}

/** What was drawn since the last record, the largest shares first. */
function drawnLine(objectives: Figures, figures: Figures): string | null {
  const shares = (kind: string, of: string) => {
    const pattern = new RegExp(`^${kind}/(.*)/${of}$`, 's');
    const found = Object.entries(objectives).flatMap(([key, share]) => {
      const name = pattern.exec(key)?.[1];
      return name === undefined ? [] : [{ name, share: figures[`${key}/mean`] ?? share }];
    });
    return found.sort((a, b) => b.share - a.share).slice(0, mostNamed);
  };
  // How curation changes the share of each source is said with its scores.
  const sources = shares('source', 'drawn').map((one) => {
    const epoch = objectives[`source/${one.name}/epoch`];
    return epoch === undefined ? one : { ...one, epoch };
  });
  const parts: Share[][] = [sources, [...shares('language', 'drawn'), ...shares('language', 'chosen')]];
  const said = parts.flatMap((part) =>
    part.length === 0
      ? []
      : [
          part
            .map(
              ({ name, share, epoch }) =>
                `${name} ${percent(share)}${epoch === undefined ? '' : ` (epoch ${epoch.toFixed(2)})`}`,
            )
            .join(', '),
        ],
  );
  return said.length === 0 ? null : `trained on: ${said.join('; ')}`;
}

function normsLine(figures: Figures): string | null {
  const parts = Object.entries(figures).flatMap(([key, norm]) => {
    const part = /^norm\/parameters\/(\w+)$/.exec(key)?.[1];
    return part === undefined ? [] : [`${part} ${brief(norm)} (${brief(figures[`norm/updates/${part}`] ?? 0)})`];
  });
  return parts.length === 0 ? null : `norms (of the last update): ${parts.join(', ')}`;
}
