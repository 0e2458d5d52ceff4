import { ReduceDataOptionsBuilder } from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
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

/** Names of runs and phases at the top, of what was there in the time that is shown. */
function choice(name: string, label: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(source)
    .query({ query, refId: name })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.*');
}

function panelOf({ title, about, unit, queries, stat, bad }: PanelText, id: number): StatBuilder | CurveBuilder {
  const newest = new ReduceDataOptionsBuilder().calcs(['lastNotNull']);
  const builder = stat
    ? new StatBuilder().height(4).span(4).reduceOptions(newest)
    : new CurveBuilder().height(8).span(12).fillOpacity(5);
  builder.id(id).title(title).description(about).unit(unit).datasource(source);
  for (const [i, { expr, legend }] of queries.entries()) {
    const query = new DataqueryBuilder()
      .refId(String.fromCharCode(65 + i))
      .expr(expr)
      .legendFormat(legend);
    builder.withTarget(query.datasource(source));
  }
  const steps = [
    { value: null, color: bad ? 'green' : 'text' },
    ...(bad ? [{ value: bad.above + 1e-9, color: 'red' }] : []),
  ];
  return builder.thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps));
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
    .withVariable(choice('run', 'Run', 'label_values(siglip2_commits_total, run)'))
    .withVariable(choice('phase', 'Phase', 'label_values(siglip2_commits_total{run=~"$run"}, phase)'));
  let id = 0;
  for (const { title, panels } of rows) {
    builder.withRow(new RowBuilder(title).id(++id));
    for (const panel of panels) builder.withPanel(panelOf(panel, ++id));
  }
  return builder.build();
}
