//! Which of an input's files cannot be read, where a plan over all of them fails.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;

use super::{EngineError, query};
use crate::io::IoError;
use crate::io::context::RunContext;

/// The error with the file named that fails when it is read alone, in place of the folder or pattern that has led to it;
/// `plan` reads what is needed of the input.
pub async fn name(error: EngineError, plan: &LogicalPlan, context: &RunContext) -> EngineError {
    let EngineError::Io(IoError::Unreadable { role, path, reason, hint, source: Some(source) }) = error else {
        return error;
    };
    let file = first(plan, context).await.ok().flatten();
    IoError::Unreadable { role, path: file.unwrap_or(path), reason, hint, source: Some(source) }.into()
}

/// The first file of a plan's scans that cannot be read; `None` where each can, or is the only one.
async fn first(plan: &LogicalPlan, context: &RunContext) -> Result<Option<String>> {
    let mut scans: Vec<FileScanConfig> = Vec::new();
    query::physical(context, plan).await?.apply(|node| {
        if let Some(scan) = node.downcast_ref::<DataSourceExec>()
            && let Some(scan) = scan.data_source().downcast_ref::<FileScanConfig>()
        {
            scans.push(scan.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut seen = HashSet::new();
    for scan in &scans {
        let files = scan.file_groups.iter().flat_map(FileGroup::iter);
        // A large file is read in parts by several streams.
        for file in files.filter(|file| seen.insert(file.object_meta.location.clone())) {
            if read(scan, file, context).await.is_err() {
                let store = scan.object_store_url.as_str().trim_end_matches('/');
                let location = &file.object_meta.location;
                let file = match store.strip_prefix("file://") {
                    Some(root) => format!("{root}/{location}"),
                    None => format!("{store}/{location}"),
                };
                return Ok(Some(file));
            }
        }
    }
    Ok(None)
}

/// Reads a file to its end, and keeps nothing.
async fn read(scan: &FileScanConfig, file: &PartitionedFile, context: &RunContext) -> Result<()> {
    let mut whole = file.clone();
    whole.range = None;
    let scan = FileScanConfigBuilder::from(scan.clone()).with_file_groups(vec![FileGroup::new(vec![whole])]).build();
    let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
    let mut batches = execute_stream(scan, context.session().task_ctx())?;
    while let Some(batch) = batches.next().await {
        batch?;
    }
    Ok(())
}
