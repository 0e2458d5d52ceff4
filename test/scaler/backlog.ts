import type { WorkflowService } from '@temporalio/client';

/** Activities and workflow tasks that wait in a task queue, as KEDA's Temporal scaler asks for them. */
export async function backlogOf(service: WorkflowService, taskQueue: string): Promise<number> {
  // 1 is of workflows, 2 of activities.
  const counts = [1, 2].map(async (taskQueueType) => {
    const { stats } = await service.describeTaskQueue({
      namespace: 'default',
      taskQueue: { name: taskQueue, kind: 1 },
      taskQueueType,
      reportStats: true,
    });
    return Number(stats?.approximateBacklogCount ?? 0);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}
