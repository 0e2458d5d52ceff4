import { PanelBuilder as BarsBuilder } from '@grafana/grafana-foundation-sdk/bargauge';
import {
  BarGaugeDisplayMode,
  BigValueGraphMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  MappingType,
  QueryVariableBuilder,
  RowBuilder,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as CurveBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import { type PanelText, rows } from './panels.ts';

const source = { type: 'prometheus', uid: '$datasource' } as const;

/**
 * Names of runs and phases at the top, of what was there in the time that is shown. Money is counted of whatever had a device,
 * also where it has no price; a phase in rounds counts no commits.
 */
function choice(name: string, label: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(source)
    .query({ query, refId: name })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .current({ selected: true, text: ['All'], value: ['$__all'] })
    .allValue('.*');
}

const newest = () => new ReduceDataOptionsBuilder().calcs(['lastNotNull']);

/** Grafana's builders leave out the names of curves unless told otherwise. */
function curvesOf({ whole, stacked, signed, listed, width, height }: PanelText): CurveBuilder {
  const legend = new VizLegendOptionsBuilder()
    .showLegend(true)
    .displayMode(listed ? LegendDisplayMode.Table : LegendDisplayMode.List)
    .placement(LegendPlacement.Bottom)
    .calcs(listed ? ['lastNotNull'] : []);
  const builder = new CurveBuilder()
    .height(height ?? 8)
    .span(width ?? 12)
    .fillOpacity(stacked ? 30 : listed ? 0 : 5)
    .legend(legend)
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (!signed) builder.min(0);
  // Grafana gives curves that stay at nought an axis up to a hundred.
  if (whole) builder.axisSoftMax(1);
  if (stacked) builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  return builder;
}

function builderOf(panel: PanelText): StatBuilder | BarsBuilder | CurveBuilder {
  if (panel.as === undefined) return curvesOf(panel);
  if (panel.as === 'figure')
    return new StatBuilder()
      .height(panel.height ?? 4)
      .span(panel.width ?? 4)
      .reduceOptions(newest())
      .graphMode(BigValueGraphMode.None);
  return new BarsBuilder()
    .height(panel.height ?? 8)
    .span(panel.width ?? 12)
    .min(0)
    .reduceOptions(newest())
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic);
}

function stepsOf({ bad, as }: PanelText): Threshold[] {
  if (!bad) return [{ value: null, color: as === 'bars' ? 'blue' : 'text' }];
  // What is not known has the first colour, and is neither well nor bad.
  const [at, low, high] = 'above' in bad ? [bad.above + 1e-9, 'green', 'red'] : [bad.below, 'red', 'green'];
  return [
    { value: null, color: 'text' },
    { value: 0, color: low },
    { value: at, color: high },
  ];
}

function panelOf(panel: PanelText, id: number) {
  const { title, about, unit, queries, as, words, none, whole, digits } = panel;
  const builder = builderOf(panel).id(id).title(title).description(about).unit(unit).datasource(source);
  for (const [i, { expr, legend }] of queries.entries()) {
    const query = new DataqueryBuilder()
      .refId(String.fromCharCode(65 + i))
      .expr(expr)
      .legendFormat(legend)
      .datasource(source);
    // What it is now: of a range, the last value would be shown for hours after nobody tells it any more.
    builder.withTarget(as ? query.instant() : query.range());
  }
  const decimals = whole ? 0 : digits;
  if (decimals !== undefined) builder.decimals(decimals);
  if (none !== undefined) builder.noValue(none);
  if (words) {
    const options = Object.fromEntries(Object.entries(words).map(([value, text], index) => [value, { text, index }]));
    builder.mappings([{ type: MappingType.ValueToText, options }]);
  }
  return builder.thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(stepsOf(panel)));
}

/** The dashboard as Grafana imports it. */
export function dashboard(): object {
  const builder = new DashboardBuilder('SigLIP 2 training')
    .uid('siglip2-training')
    .description('Runs of siglip2-runner: what they train, what they keep, and what goes wrong.')
    .tags(['siglip2'])
    .refresh('30s')
    .time({ from: 'now-6h', to: 'now' })
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(choice('run', 'Run', 'label_values(siglip2_cost_total, run)'))
    .withVariable(choice('phase', 'Phase', 'label_values(siglip2_cost_total{run=~"$run"}, phase)'));
  let id = 0;
  for (const { title, panels } of rows) {
    builder.withRow(new RowBuilder(title).id(++id));
    for (const panel of panels) builder.withPanel(panelOf(panel, ++id));
  }
  return builder.build();
}
