"""A plan that was edited, or whose data changed, is not continued."""
import json
import re


def swap(plan):
    one, other = plan['requests']
    one['source'], other['source'] = other['source'], one['source']


CHANGES = [
    (lambda plan: plan.update(seed=7), 'plan.json has the seed 7, the config 0: restore it'),
    (lambda plan: plan['requests'][1].update(source_index=4),
     r'request \S+ uses image 4, but the dataset has 4 images: '),
    (swap, r'request \S+ uses the image \S+, but in the dataset number \d is \S+: restore the plan or the data'),
    (lambda plan: plan['requests'][0].update(mask='x.png'),
     r'uses the mask x.png, but in the dataset number \d is \S+: '),
    (lambda plan: plan['requests'][1].pop('mask'), r'not a readable plan \(\S+ has no mask: segmentation needs one\)'),
    (lambda plan: plan['classes'].reverse(), "class 0 is 'cyclist' in the plan and 'sky' in the dataset: restore")]


def test_edited_plans_are_refused(tools, town):
    assert tools('distill', town.config, '--work-dir', town.work, '--dry-run').returncode == 0
    path = town.work / 'plan.json'
    whole = path.read_text()
    for change, say in CHANGES:
        plan = json.loads(whole)
        change(plan)
        path.write_text(json.dumps(plan))
        done = tools('distill', town.config, '--work-dir', town.work, '--resume', '--dry-run')
        assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
        assert re.search(f'^error: .*{say}', done.stderr.splitlines()[-1]), done.stderr.splitlines()[-1]
    path.write_text(whole)
    assert tools('distill', town.config, '--work-dir', town.work, '--resume', '--dry-run').returncode == 0
