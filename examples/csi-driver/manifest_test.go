// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	snapshot "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	storage "k8s.io/api/storage/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// What each kind is in Kubernetes' own Go types: decoded strictly they are the schema.
func typeOf(kind string) any {
	switch kind {
	case "v1 Namespace":
		return &core.Namespace{}
	case "v1 ServiceAccount":
		return &core.ServiceAccount{}
	case "v1 PersistentVolumeClaim":
		return &core.PersistentVolumeClaim{}
	case "v1 Pod":
		return &core.Pod{}
	case "apps/v1 DaemonSet":
		return &apps.DaemonSet{}
	case "storage.k8s.io/v1 CSIDriver":
		return &storage.CSIDriver{}
	case "storage.k8s.io/v1 StorageClass":
		return &storage.StorageClass{}
	case "rbac.authorization.k8s.io/v1 ClusterRole":
		return &rbac.ClusterRole{}
	case "rbac.authorization.k8s.io/v1 ClusterRoleBinding":
		return &rbac.ClusterRoleBinding{}
	case "rbac.authorization.k8s.io/v1 Role":
		return &rbac.Role{}
	case "rbac.authorization.k8s.io/v1 RoleBinding":
		return &rbac.RoleBinding{}
	case "snapshot.storage.k8s.io/v1 VolumeSnapshotClass":
		return &snapshot.VolumeSnapshotClass{}
	case "snapshot.storage.k8s.io/v1 VolumeSnapshot":
		return &snapshot.VolumeSnapshot{}
	}
	return nil
}

// manifests are all objects of deploy, by kind and name.
func manifests(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]any{}
	files, _ := filepath.Glob("deploy/*.yaml")
	more, _ := filepath.Glob("deploy/*/*.yaml")
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, document := range bytes.Split(text, []byte("\n---\n")) {
			var head struct {
				meta.TypeMeta `json:",inline"`
				Metadata      meta.ObjectMeta `json:"metadata"`
			}
			if err := yaml.Unmarshal(document, &head); err != nil {
				t.Fatalf("%s, document %d: %v", file, i, err)
			}
			object := typeOf(head.APIVersion + " " + head.Kind)
			if object == nil {
				t.Fatalf("%s, document %d: %s %s", file, i, head.APIVersion, head.Kind)
			}
			if err := yaml.UnmarshalStrict(document, object); err != nil {
				t.Errorf("%s, document %d: %v", file, i, err)
			}
			all[head.Kind+" "+head.Metadata.Name] = object
		}
	}
	return all
}

func TestManifestsFollowTheSchema(t *testing.T) {
	if n := len(manifests(t)); n < 14 {
		t.Errorf("only %d objects", n)
	}
}

func TestTheSchemaCheckFindsErrors(t *testing.T) {
	for _, text := range []string{"spec: {unknown: 1}", "spec: {attachRequired: maybe}", "spec: {podInfoOnMount: true, podInfoOnMount: true}"} {
		if yaml.UnmarshalStrict([]byte(text), &storage.CSIDriver{}) == nil {
			t.Errorf("%s passes", text)
		}
	}
}

func TestManifestsFitTogether(t *testing.T) {
	all := manifests(t)
	driver := all["CSIDriver csi.kvol"].(*storage.CSIDriver)
	if *driver.Spec.AttachRequired || !*driver.Spec.PodInfoOnMount {
		t.Error("there is no attaching, and pod info")
	}
	for name, object := range all {
		switch o := object.(type) {
		case *storage.StorageClass:
			if o.Provisioner != driver.Name || *o.VolumeBindingMode != storage.VolumeBindingWaitForFirstConsumer {
				t.Errorf("%s: %s, %s", name, o.Provisioner, *o.VolumeBindingMode)
			}
		case *snapshot.VolumeSnapshotClass:
			if o.Driver != driver.Name {
				t.Errorf("%s: %s", name, o.Driver)
			}
		case *rbac.ClusterRoleBinding:
			if all["ClusterRole "+o.RoleRef.Name] == nil || all["ServiceAccount "+o.Subjects[0].Name] == nil {
				t.Errorf("%s binds what is not there", name)
			}
		case *rbac.RoleBinding:
			if all["Role "+o.RoleRef.Name] == nil || all["ServiceAccount "+o.Subjects[0].Name] == nil {
				t.Errorf("%s binds what is not there", name)
			}
		}
	}
}

func TestTheDaemonSet(t *testing.T) {
	pod := manifests(t)["DaemonSet kvol-csi"].(*apps.DaemonSet).Spec.Template.Spec
	volumes := map[string]string{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v.HostPath.Path
	}
	used := map[string]bool{}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		for _, m := range c.VolumeMounts {
			used[m.Name] = true
			if volumes[m.Name] == "" {
				t.Errorf("%s mounts %s, which is no volume", c.Name, m.Name)
			}
		}
		for _, v := range regexp.MustCompile(`\$\((\w+)\)`).FindAllStringSubmatch(strings.Join(c.Args, " "), -1) {
			if !strings.Contains(fmt.Sprint(c.Env), v[1]) {
				t.Errorf("%s uses $(%s), which is not in its environment", c.Name, v[1])
			}
		}
	}
	for name := range volumes {
		if !used[name] {
			t.Errorf("nothing mounts %s", name)
		}
	}
	if volumes["run"] != "/run/kvol" {
		t.Error("the run directory is not the node's")
	}
	driver := pod.Containers[0]
	if driver.Name != "driver" || !*driver.SecurityContext.Privileged || !pod.HostPID {
		t.Error("the driver needs privileges and the node's /proc/1")
	}
	// The driver takes its arguments.
	c, _, err := parse(driver.Args)
	if err != nil || c.MountNamespace != "/proc/1/ns/mnt" || !c.ExpandOnNode {
		t.Errorf("its arguments: %+v, %v", c, err)
	}
	if volumes["socket"] != "/var/lib/kubelet/plugins/"+c.Name {
		t.Errorf("its socket is in %s", volumes["socket"])
	}
}
