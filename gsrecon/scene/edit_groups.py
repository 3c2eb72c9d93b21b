"""Edit lists on scenes that are cut into groups: every group is edited when it is read."""

from collections.abc import Collection, Iterator, Sequence

from gsrecon.errors import SpecError
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.edit_cast import Cast
from gsrecon.scene.edits import Edit, Surroundings, act, apply_edits, fresh_copy, named_objects
from gsrecon.scene.figures import figures
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups_scene import GroupedScene
from gsrecon.scene.objects import ObjectTable


class EditedGroups(GroupedScene):
    """A scene in groups with an edit list applied; the scene itself stays as it is.

    The list is done once to all objects, and to each group when that is read. What it gives another way, or
    puts there, every group draws: it may go wherever it likes. All else is drawn by the groups that draw it
    without a list.
    """

    def __init__(
        self, scene: GroupedScene, edits: Sequence[Edit], surroundings: Surroundings | None = None
    ) -> None:
        """Does the list to all objects; groups in memory stay there and are shared with the scene.

        Args:
            scene: As it was trained.
            edits: What to do.
            surroundings: Ground and road of the whole scene; None: without lane lines.

        Raises:
            SpecError: An entry cannot be done, or ends in another object.
            CheckpointError: A group is missing or damaged.
        """
        self.plan, self.settings = scene.plan, scene.settings
        self.appearance, self.camera_refinement = scene.appearance, scene.camera_refinement
        self._scene, self._edits = scene, tuple(edits)
        self._surroundings = surroundings or Surroundings(scene)
        self._named = named_objects(edits)
        self._before = scene.objects(self._named)
        self._after = self._applied_to(self._before)
        self._edited: dict[int, tuple[SceneGraph, SceneGraph]] = {}

    @property
    def resident(self) -> list[int]:
        """Groups that are in memory, the latest last."""
        return self._scene.resident

    def __len__(self) -> int:
        """Number of Gaussians of all groups and the far field."""
        return len(self._scene) + len(self._after) - len(self._before)

    def objects(self, ids: Collection[str] = ()) -> SceneGraph:
        """All objects as the list leaves them, with the Gaussians of some and of those that it names."""
        if set(ids) <= self._named:
            return self._after
        return self._applied_to(self._scene.objects(self._named | set(ids)))

    def group(self, number: int) -> SceneGraph:
        """All that pictures of a group draw.

        Raises:
            CheckpointError: The group or one that lends to it is missing or damaged.
            SpecError: What the list inserts is not there any more.
        """
        if number not in self._scene.resident:
            self._edited.clear()  # they would keep in memory what makes room now
        graph = self._scene.group(number)
        known = self._edited.get(number)
        if known is None or known[0] is not graph:
            edited = fresh_copy(graph)
            self._cast(edited).assemble()
            known = self._edited[number] = graph, edited
        return known[1]

    def parts(self) -> Iterator[SceneGraph]:
        """Every Gaussian once; what the list adds comes with the first part."""
        recorded = {id for node in self._before.gaussian_nodes for id in node.object_ids}
        first = True
        for part in self._scene.parts():
            owned = {id for node in part.gaussian_nodes for id in node.object_ids}
            graph = SceneGraph(
                list(part), ObjectTable(self._before.objects.ids), part.recording, part.settings
            )
            cast = self._cast(graph)
            for id in cast.ids:
                if id not in owned and (id in recorded or not first):
                    cast.remove(id)
            cast.assemble()
            first = False
            yield graph

    def _applied_to(self, objects: SceneGraph) -> SceneGraph:
        edited = fresh_copy(objects)
        apply_edits(edited, self._edits, self._surroundings)
        return edited

    def _cast(self, graph: SceneGraph) -> Cast:
        """The objects of a graph after the list, those of other groups beside them."""
        owned = {id for node in graph.gaussian_nodes for id in node.object_ids}
        nodes = [node for node in self._before.to(graph.device) if isinstance(node, RigidActors)]
        others = [figure for node in nodes for figure in figures(node, set(node.object_ids) - owned)]
        cast = Cast(graph, others)
        for done in act(cast, self._edits, self._surroundings):
            if done.stops:
                raise SpecError(done.problem)
        return cast
